"""Rows by the thousand, past the ORM: `executemany` on SQLite, COPY on PostgreSQL.

For streams of millions, where a model instance a row would cost more than the row itself. Constraints and guards
hold as ever; each row is alike to a model instance given, so what it holds is still said in one place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

from django.db import connection, models


def insert_alike(like: models.Model, attname: str, values: Sequence[Any]) -> list[int]:
    """A row for each of `values`, alike to the unsaved `like` but for its id and that attribute. Returns the ids."""
    if not values:
        return []
    ids = next_ids(type(like), len(values))
    # What is None in the likeness is left out, and so becomes NULL.
    fields = {field.attname: field for field in like._meta.concrete_fields}
    alike = {
        str(field.column): field.get_db_prep_save(value, connection)
        for name, field in fields.items()
        if name not in ("id", attname) and (value := getattr(like, name)) is not None
    }
    insert(type(like), ("id", str(fields[attname].column)), zip(ids, values, strict=True), alike)
    return ids


def next_ids(model: type[models.Model], count: int) -> list[int]:
    """`count` ids of the model's table that nobody else will be given. Inside a transaction."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # OFFSET 0: or the sequence would be looked up for every id.
            cursor.execute(
                "SELECT nextval(ids) FROM (SELECT pg_get_serial_sequence(%s, 'id')::regclass AS ids OFFSET 0) AS found,"
                " generate_series(1, %s)",
                [table, count],
            )
            return [pk for (pk,) in cursor.fetchall()]
        # There is one writer at a time, and an explicit id moves the sequence on by itself.
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        (last,) = cursor.fetchone() or (0,)
        return list(range(last + 1, last + 1 + count))


# On SQLite a statement of many rows takes half the time that as many statements take; of more still, no less.
ROWS_A_STATEMENT = 50


def insert(
    model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]], alike: Mapping[str, Any]
) -> None:
    """Inserts `rows`, each with a value for each of `columns`; they are `alike` in other columns.

    Values are as the database takes them.
    """
    into = f"{model._meta.db_table} ({', '.join((*columns, *alike))})"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # An instant is spelled once, not once a row.
            same = [value.isoformat() if isinstance(value, datetime) else value for value in alike.values()]
            with cursor.copy(f"COPY {into} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row((*row, *same))
            return
        row_place, given, same = f"({', '.join(['%s'] * len(columns))})", ", ".join(columns), list(alike.values())
        values = list(rows)
        full = len(values) // ROWS_A_STATEMENT * ROWS_A_STATEMENT
        for part, size in (values[:full], ROWS_A_STATEMENT), (values[full:], 1):
            if part:
                cursor.executemany(
                    f"WITH given ({given}) AS (VALUES {', '.join([row_place] * size)})"
                    f" INSERT INTO {into} SELECT {', '.join((given, *['%s'] * len(same)))} FROM given",
                    [[*chain.from_iterable(part[at : at + size]), *same] for at in range(0, len(part), size)],
                )
