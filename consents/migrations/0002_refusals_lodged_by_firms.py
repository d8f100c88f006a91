from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("consents", "0001_what_subscribers_say"),
        ("telemarketers", "0001_who_may_call"),
    ]

    operations = [
        migrations.AlterField(
            model_name="holding",
            name="source",
            field=models.CharField(
                choices=[
                    ("proof", "proved by one-time code"),
                    ("operator", "entered by an operator"),
                    ("import", "imported from another register"),
                    ("firm", "lodged by a firm"),
                ],
                max_length=10,
            ),
        ),
        migrations.CreateModel(
            name="LodgedRefusal",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("said_at", models.DateTimeField()),
                ("lodged_at", models.DateTimeField()),
                (
                    "holding",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="lodged_refusals",
                        to="consents.holding",
                    ),
                ),
                (
                    "firm",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="telemarketers.firm"
                    ),
                ),
                (
                    "against",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="lodged_refusals",
                        to="telemarketers.firm",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("said_at__lte", models.F("lodged_at"))),
                        name="refusal_is_lodged_after_it_was_said",
                    )
                ],
            },
        ),
    ]
