"""Who authorized a firm before there were notices is told of the end, too. That it was granted is no news any more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from django.db import migrations

from record.ids import uuid7

CHUNK = 1000
NOTICE_OF_END = timedelta(days=7)


def owe(apps: Any, schema_editor: Any) -> None:
    """What is owed already stays as it is, so this may run again."""
    notice = apps.get_model("record", "Notice")
    at = datetime.now(UTC)

    def owed() -> Iterator[Any]:
        in_force = apps.get_model("consents", "Authorization").objects.filter(starts__lte=at, ends__gt=at)
        for pk, ends in in_force.values_list("pk", "ends").iterator(CHUNK):
            for kind, due_at in (("authorization_ending", ends - NOTICE_OF_END), ("authorization_ended", ends)):
                yield notice(
                    id=uuid7(at), kind=kind, about_kind="authorization", about_id=str(pk), made_at=at, due_at=due_at
                )

    notices = owed()
    while chunk := list(islice(notices, CHUNK)):
        notice.objects.bulk_create(chunk, ignore_conflicts=True)


class Migration(migrations.Migration):
    dependencies = [
        ("consents", "0006_no_index_twice"),
        ("record", "0005_notices_owed"),
    ]

    # Backwards: what is owed stays owed; the table goes with its own migration.
    operations = [migrations.RunPython(owe, migrations.RunPython.noop)]
