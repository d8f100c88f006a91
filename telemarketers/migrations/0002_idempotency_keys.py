from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("telemarketers", "0001_who_may_call")]

    operations = [
        migrations.CreateModel(
            name="IdempotencyKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("route", models.CharField(max_length=100)),
                ("name", models.BinaryField(max_length=32, unique=True)),
                ("body", models.BinaryField(max_length=32)),
                ("number_key", models.PositiveSmallIntegerField()),
                ("status", models.PositiveSmallIntegerField()),
                ("result_kind", models.CharField(max_length=30)),
                ("result_id", models.CharField(max_length=40)),
                ("at", models.DateTimeField()),
                (
                    "firm",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="telemarketers.firm",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["at"], name="idempotency_key_by_age")],
            },
        ),
    ]
