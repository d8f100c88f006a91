"""Under which keys do numbers stand in the database, and which row is whose?

A process that did not know a key would find nothing under it and let every call through. So the keys in use are rows
of the database: every statement that looks a number up reads them too, and is not believed unless its pseudonyms
were made with all of them (docs/decisions/0018-keys-in-use-are-in-the-database.md).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

from django.db import connection, connections
from django.db.transaction import TransactionManagementError
from django.utils.translation import gettext_lazy as _

from dncregistry.errors import CannotRule
from record import keys
from record.models import KeyInUse, Number
from record.numbers import PhoneNumber
from record.pseudonyms import Pseudonymizer, PseudonymUnreadable

log = logging.getLogger(__name__)

NO_FIT = (
    "The number keys do not fit the numbers in the database: nothing would be found, and every call allowed. "
    "Restore KEYS_DIR/number from the backup that belongs to this database."
)

KeysInUse = Mapping[int, bytes | None]  # id → proof, if one was kept
Found = TypeVar("Found")


def under_keys_in_use(
    ask: Callable[[Pseudonymizer], tuple[KeysInUse, Found]],
) -> tuple[Pseudonymizer, Found]:
    """What `ask` found, and the pseudonymizer it was found with; its current key is what to write under.

    `ask` reads, in one statement, the keys in use and what it looks up by pseudonyms under every key. If it meets a
    key that is not known here, it is asked again with the key files read anew. Raises `CannotRule` if that key is not
    among them: nothing found would then mean nothing.
    """
    for known in (keys.pseudonymizer, keys.reread):
        pseudonymizer = known()
        in_use, found = ask(pseudonymizer)
        if in_use and pseudonymizer.knows(in_use):
            return pseudonymizer.writing(max(in_use)), found
    log.error("the database has numbers under keys that are not in KEYS_DIR/number: in use are %s", sorted(in_use))
    raise CannotRule(_("The registry lacks one of its keys. A marketing call is not allowed; try again shortly."))


def find(number: PhoneNumber) -> Number | None:
    """The number's row if the registry has met it, under whichever key. Raises `CannotRule` as above."""

    def ask(pseudonymizer: Pseudonymizer) -> tuple[KeysInUse, Number | None]:
        pseudonyms = [pseudonym for _key, pseudonym in pseudonymizer.pseudonyms(number)]
        with connection.cursor() as cursor:
            cursor.execute(FIND.format(", ".join(["%s"] * len(pseudonyms))), pseudonyms)
            rows = cursor.fetchall()
        met = [Number.from_db(connection.alias, ["id", "pseudonym", "key"], row) for row in rows if row[0] is not None]
        return {key: proof and bytes(proof) for pk, proof, key in rows if pk is None}, met[0] if met else None

    return under_keys_in_use(ask)[1]


FIND = """
SELECT id, pseudonym, key FROM record_number WHERE pseudonym IN ({})
UNION ALL
SELECT NULL, proof, id FROM record_keyinuse WHERE ends IS NULL
"""


def meet(number: PhoneNumber) -> Number:
    """The number's row, made if the registry had not met the number yet. Inside a transaction."""
    met = find(number)
    if met is None:
        pseudonymizer = keys_for_writing()
        # Two first mentions at once: the second finds the first one's row.
        met = (
            find(number)
            or Number.objects.get_or_create(
                pseudonym=pseudonymizer.pseudonym(number), defaults={"key": pseudonymizer.current.id}
            )[0]
        )
    return met


def keys_for_writing() -> Pseudonymizer:
    """The keys in use, and no others; which they are does not change until the transaction ends.

    Whoever adds a number's row calls this first, then looks again under all of these keys, and only then writes
    under the current one. Else a number could get a second row: added under the old key while a colleague, who
    knows of the new one, adds it under that.
    """
    if not connection.in_atomic_block:
        raise TransactionManagementError("Numbers are added inside a transaction.")
    if connection.vendor == "postgresql":
        # To announce a key is to insert a row, which waits for this lock, as this waits for that. The statement
        # after this one therefore sees every key announced. SQLite has one writer, and we are it.
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE record_keyinuse IN SHARE MODE")
    return pseudonymizer_in_use()


def pseudonymizer_in_use(alias: str = "default") -> Pseudonymizer:
    """Under the keys in use, and no others. Raises `CannotRule` as above."""
    in_use = keys_in_use(alias)
    return _knowing(in_use).only(in_use.keys())


def pseudonymizer() -> Pseudonymizer:
    """Under every key that is here, of which the newest in use is current: for what is kept elsewhere than in the table
    of numbers, and looked up for as long as it lasts. Raises `CannotRule` as above.
    """
    return _knowing(keys_in_use())


def _knowing(in_use: KeysInUse) -> Pseudonymizer:
    return under_keys_in_use(lambda _pseudonymizer: (in_use, None))[0]


def keys_in_use(alias: str = "default") -> dict[int, bytes | None]:
    rows = KeyInUse.objects.using(alias).filter(ends=None).order_by("pk").values_list("pk", "proof")
    return {pk: proof and bytes(proof) for pk, proof in rows}


def keep_proofs() -> None:
    """Keeps the proof of a key in use that has none yet; asked for as the registry starts, when the keys fit.

    From then on another key in a file of the same name is told from it, before it finds nothing.
    """
    pseudonymizer = keys.pseudonymizer()
    for unproved in KeyInUse.objects.filter(ends=None, proof=None):
        KeyInUse.objects.filter(pk=unproved.pk, proof=None).update(proof=pseudonymizer.proof(unproved.pk))


def are_readable(alias: str = "default") -> bool:
    """Tries the newest number under each key in use. True of tables that are not there yet."""
    if KeyInUse._meta.db_table not in connections[alias].introspection.table_names():
        return True
    try:
        pseudonymizer = pseudonymizer_in_use(alias)
        for key in pseudonymizer.key_ids:
            newest = Number.objects.using(alias).filter(key=key).order_by("-pk").first()
            if newest:
                pseudonymizer.reveal(key, bytes(newest.pseudonym))
    except (CannotRule, PseudonymUnreadable):
        return False
    return True
