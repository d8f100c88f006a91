from typing import Any

from django.db import migrations
from django.db.models import Count, F

import record.seals
from record import guards, seals

SEALED = ("checkrecord", "checkset", "checksegment", "allowday")


def fill_up(apps: Any, schema_editor: Any) -> None:
    """A set has all its segments, empty ones too; so far a segment without entries was left out."""
    sets = apps.get_model("consents", "CheckSet").objects.using(schema_editor.connection.alias)
    segments = apps.get_model("consents", "CheckSegment").objects.using(schema_editor.connection.alias)
    short = sets.annotate(present=Count("packed")).filter(present__lt=F("segments"))
    for pk, count in short.values_list("pk", "segments"):
        present = set(segments.filter(check_set_id=pk).values_list("segment", flat=True))
        segments.bulk_create(
            segments.model(check_set_id=pk, segment=segment, packed=b"")
            for segment in range(count)
            if segment not in present
        )


def seal(apps: Any, schema_editor: Any) -> None:
    for name in SEALED:
        model = apps.get_model("consents", name)
        guards.take_off(schema_editor.connection, model._meta.db_table)
        seals.seal_rows(model, schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("consents", "0003_authorizations_by_page")]

    operations = [
        *(
            migrations.AddField(
                model_name=name,
                name="seal",
                field=record.seals.SealField(default=b"", max_length=17),
                preserve_default=False,
            )
            for name in SEALED
        ),
        migrations.RunPython(fill_up, migrations.RunPython.noop),
        migrations.RunPython(seal, migrations.RunPython.noop),
    ]
