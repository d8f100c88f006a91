"""Calling numbers get the instant at which they were submitted, and may wait for their approval without a beginning.

Those that are there were approved when they were entered. Each row's new form gets its event, so that the latest event
of each object goes on being its row.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def image(row: Any) -> dict[str, Any]:
    """As record/ledger.py images a row."""
    state = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    return {
        name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
        for name, value in state.items()
    }


def carry_over(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    CallingNumber, Event = apps.get_model("telemarketers", "CallingNumber"), apps.get_model("record", "Event")
    CallingNumber.objects.update(submitted_at=models.F("starts"))
    record(Event, CallingNumber.objects.order_by("pk"))


def record(event: Any, rows: Any) -> None:
    now = datetime.now(UTC)
    event.objects.bulk_create(
        (
            event(
                verb="row.carried_over",
                actor_kind="system",
                object_kind="callingnumber",
                object_id=str(row.pk),
                at=now,
                state=image(row),
            )
            for row in rows.iterator()
        ),
        batch_size=500,
    )


def give_up_what_waits(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """The former form has no waiting: what waits ends in the instant in which it was submitted, never in force."""
    CallingNumber = apps.get_model("telemarketers", "CallingNumber")
    CallingNumber.objects.filter(starts__isnull=True).update(
        starts=models.F("submitted_at"), ends=models.F("submitted_at")
    )


def record_former_form(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    CallingNumber, Event = apps.get_model("telemarketers", "CallingNumber"), apps.get_model("record", "Event")
    record(Event, CallingNumber.objects.order_by("pk"))


class Migration(migrations.Migration):
    dependencies = [
        ("telemarketers", "0002_idempotency_keys"),
        ("record", "0003_verbs_of_firms_systems"),
    ]

    operations = [
        migrations.RunPython(migrations.RunPython.noop, record_former_form),
        migrations.AddField("callingnumber", "submitted_at", models.DateTimeField(null=True)),
        migrations.AlterField("callingnumber", "starts", models.DateTimeField(blank=True, null=True)),
        migrations.RunPython(carry_over, give_up_what_waits),
        migrations.AlterField("callingnumber", "submitted_at", models.DateTimeField()),
    ]
