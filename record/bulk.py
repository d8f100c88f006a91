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
    ids = next_ids(type(like), len(values))
    fields = like._meta.concrete_fields
    common = [field.get_db_prep_save(getattr(like, field.attname), connection) for field in fields]
    own, varied = ([field.attname for field in fields].index(name) for name in ("id", attname))

    def row(pk: int, value: Any) -> list[Any]:
        filled = common.copy()
        filled[own], filled[varied] = pk, value
        return filled

    rows = (row(pk, value) for pk, value in zip(ids, values, strict=True))
    insert(type(like), [str(field.column) for field in fields], rows)
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
