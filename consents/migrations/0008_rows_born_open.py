from collections.abc import Iterator
from dataclasses import replace

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from record import guards


def _born_open() -> Iterator[tuple[type[models.Model], guards.NoOverlap]]:
    for model, guard in guards.guarded("consents"):
        if isinstance(guard, guards.NoOverlap) and guard.born_open:
            yield model, guard


def without_exclusion(_apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """What takes an exclusion constraint's place stands before it goes: there is no moment without a guard."""
    if schema_editor.connection.vendor == "postgresql":
        for model, guard in _born_open():
            for statement in guard.postgresql(model).values():
                schema_editor.execute(statement)
            table = model._meta.db_table
            schema_editor.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {table}_no_overlap")


def with_exclusion(_apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        for model, guard in _born_open():
            for statement in replace(guard, born_open=False).postgresql(model).values():
                schema_editor.execute(statement)


class Migration(migrations.Migration):
    """On PostgreSQL, an exclusion constraint's index costs a row four times as much as all its others."""

    dependencies = [("consents", "0007_notices_of_authorizations")]

    operations = [migrations.RunPython(without_exclusion, with_exclusion)]
