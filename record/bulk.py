"""Rows by the thousand, past the ORM: `executemany` on SQLite, COPY on PostgreSQL.

For streams of millions, where a model instance a row would cost more than the row itself. Constraints and guards
hold as ever; each row is alike to a model instance given, so what it holds is still said in one place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, models


def insert_alike(like: models.Model, attname: str, values: Sequence[Any]) -> list[int]:
    """A row for each of `values`, alike to the unsaved `like` but for its id and that attribute. Returns the ids."""
    if not values:
        return []
    ids = next_ids(type(like), len(values))
    # What is None in the likeness is left out, and so becomes NULL: binding it to every row would cost.
    fields = {field.attname: field for field in like._meta.concrete_fields}
    shared = {
        str(field.column): field.get_db_prep_save(value, connection)
        for name, field in fields.items()
        if name not in ("id", attname) and (value := getattr(like, name)) is not None
    }
    alike = tuple(shared.values())
    columns = ["id", str(fields[attname].column), *shared]
    insert(type(like), columns, ((*each, *alike) for each in zip(ids, values, strict=True)))
    return ids


def next_ids(model: type[models.Model], count: int) -> list[int]:
    """`count` ids of the model's table that nobody else will be given. Inside a transaction."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)", [table, count]
            )
            return [pk for (pk,) in cursor.fetchall()]
        # There is one writer at a time, and an explicit id moves the sequence on by itself.
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        (last,) = cursor.fetchone() or (0,)
        return list(range(last + 1, last + 1 + count))


def insert(model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Inserts `rows`, each with a value, as the database takes it, for each of `columns`."""
    table, named = model._meta.db_table, ", ".join(columns)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({named}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            cursor.executemany(f"INSERT INTO {table} ({named}) VALUES ({', '.join(['%s'] * len(columns))})", list(rows))
