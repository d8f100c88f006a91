from django.db import migrations, models


class Migration(migrations.Migration):
    """How far the import of a file has come."""

    dependencies = [("consents", "0004_seals")]

    operations = [
        migrations.CreateModel(
            name="RegistrationImport",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.BinaryField(max_length=32)),
                ("number_key", models.PositiveSmallIntegerField()),
                ("column", models.CharField(blank=True, max_length=100)),
                ("started_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
                ("lines", models.PositiveBigIntegerField(default=0)),
                ("added", models.PositiveBigIntegerField(default=0)),
                ("already", models.PositiveBigIntegerField(default=0)),
                ("refused", models.JSONField(default=dict)),
                ("report_bytes", models.PositiveBigIntegerField(default=0)),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("digest", "column"), name="file_is_imported_once")],
            },
        ),
    ]
