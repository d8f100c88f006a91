from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("record", "0005_notices_owed"),
    ]

    operations = [
        migrations.CreateModel(
            name="BeatLease",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("holder", models.CharField(max_length=32)),
                ("until", models.DateTimeField()),
                ("ticked_at", models.DateTimeField()),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="beat_lease_is_one_row")],
            },
        ),
    ]
