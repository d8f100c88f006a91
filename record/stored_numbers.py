"""Can the numbers in the database be read with the keys that are here?"""

from __future__ import annotations

from django.db import connections

from record import keys
from record.models import Number
from record.pseudonyms import PseudonymUnreadable

NO_FIT = (
    "The number keys do not fit the numbers in the database: nothing would be found, and every call allowed. "
    "Restore KEYS_DIR/number from the backup that belongs to this database."
)


def are_readable(alias: str = "default") -> bool:
    """Tries the newest number under each key id that the table names. True of a table that is not there yet."""
    if Number._meta.db_table not in connections[alias].introspection.table_names():
        return True
    stored = Number.objects.using(alias)
    for key in stored.order_by().values_list("key", flat=True).distinct():
        newest = stored.filter(key=key).latest("pk")
        try:
            keys.pseudonymizer().reveal(key, bytes(newest.pseudonym))
        except PseudonymUnreadable:
            return False
    return True
