from typing import Any

from django.db import migrations, models
from django.db.models import F, Q
from django.db.models.functions import Now


def name_the_keys_in_use(apps: Any, schema_editor: Any) -> None:
    """Those that numbers are stored under; in a new registry the first."""
    alias = schema_editor.connection.alias
    stored = apps.get_model("record", "Number").objects.using(alias).order_by().values_list("key", flat=True).distinct()
    in_use = apps.get_model("record", "KeyInUse").objects.using(alias)
    for key in set(stored) or {1}:
        in_use.create(id=key, starts=Now())


class Migration(migrations.Migration):
    dependencies = [("record", "0001_users_numbers_events")]

    operations = [
        migrations.CreateModel(
            name="KeyInUse",
            fields=[
                ("id", models.PositiveSmallIntegerField(primary_key=True, serialize=False)),
                ("starts", models.DateTimeField()),
                ("ends", models.DateTimeField(blank=True, null=True)),
                ("proof", models.BinaryField(max_length=16, null=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(ends__isnull=True) | Q(ends__gte=F("starts")),
                        name="record_keyinuse_runs_forwards",
                    )
                ],
            },
        ),
        migrations.RunPython(name_the_keys_in_use, migrations.RunPython.noop),
    ]
