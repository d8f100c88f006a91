"""A stolen database and a stolen log tell nobody's number (law 8).

Known numbers go through everything that the registry does. Then the whole database is dumped, column by column
and, where it is a file, page by page; whatever looks like base64, hex or zlib in it is decoded, over and over;
and none of the numbers may be found, however it is spelled.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from django.db import connection
from django.test import Client

from consents import actions, bulk, check
from consents.models import AllowDay, CheckRecord, CheckSegment, CheckSet, Holding, LodgedRefusal
from consents.terms import HoldingSource
from dncregistry.errors import Refused
from dncregistry.logs import MaskingFormatter
from record import clock, keys
from record.ledger import OPERATOR
from record.models import Event, Number
from record.numbers import PhoneNumber, parse_caller
from telemarketers.models import Firm, IdempotencyKey
from telemarketers.terms import Channel
from tests.world import LOANS_LINE, NOW, START, SUBSCRIBER, World

# Of every sort: mobiles of several carriers, MVNO, fixed lines with area codes of two and three digits.
SUBSCRIBERS = [
    PhoneNumber.parse(text)
    for text in """
        13800138000 13912345678 15000001111 15987654321 18612348765 17712340001 17012345678 16612312312
        19912340987 13311223344 14712345678 18800009999 13000000001 17600112233 19100001111 18987650000
        01065521234 02162345678 07556543210 057187654321
    """.split()  # noqa: SIM905
]


def spellings(number: PhoneNumber) -> dict[str, str]:
    """The six that people and files write."""
    digits = number.e164[1:]
    is_mobile = re.fullmatch(r"861[3-9][0-9]{9}", digits) is not None
    bare = digits[2:] if is_mobile else f"0{digits[2:]}"
    head = 3 if is_mobile or bare[1] in "12" else 4
    groups = (bare[:head], bare[head:-4], bare[-4:])
    return {
        "plus-86": f"+{digits}",
        "86": digits,
        "bare": bare,
        "0086": f"00{digits}",
        "spaces": " ".join(groups),
        "dashes": "-".join(groups),
    }


ALL_SPELLINGS = {spelled.encode(): number for number in SUBSCRIBERS for spelled in spellings(number).values()}
IN_CLEAR = re.compile(b"|".join(re.escape(spelled) for spelled in sorted(ALL_SPELLINGS, key=len, reverse=True)))

# --- looking into a dump -------------------------------------------------------------------------------

DEEPEST = 4  # base64 in zlib in base64 in hex
# The shortest run of each that could hold the ten digits of a fixed line.
# Runs of either alphabet, each with the two characters that are its own.
BASE64 = {b"+/": re.compile(rb"[A-Za-z0-9+/]{14,}"), b"-_": re.compile(rb"[A-Za-z0-9_-]{14,}")}
HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){10,}")
# Where a stream may begin; looked for at every byte, whatever precedes it.
ZLIB = re.compile(rb"(?=([\x08\x18\x28\x38\x48\x58\x68\x78][\x01-\xff]))", re.DOTALL)


def layers(content: bytes) -> Iterator[bytes]:
    """Everything that part of the content could be when decoded once."""
    for altchars, alphabet in BASE64.items():
        for run in alphabet.findall(content):
            for start in range(4):  # it may begin amid other letters
                whole = run[start : len(run) - ((len(run) - start) % 4 == 1)]
                yield base64.b64decode(whole + b"=" * (-len(whole) % 4), altchars)
    for run in HEX.findall(content):
        yield bytes.fromhex(run.decode())
        yield bytes.fromhex(run[1:-1].decode())  # begun one digit too early
    for found in ZLIB.finditer(content):
        if int.from_bytes(found[1], "big") % 31 == 0:  # RFC 1950: what makes two bytes a header
            yield from inflated(content[found.start() :])


def inflated(stream: bytes) -> Iterator[bytes]:
    try:
        yield zlib.decompressobj().decompress(stream, 1_000_000)
    except zlib.error:
        return


def numbers_in(content: bytes) -> set[str]:
    """The spellings found in the content, in clear or under any layers of encoding."""
    found: set[str] = set()
    seen: set[bytes] = set()
    level = {content}
    for _depth in range(DEEPEST):
        for part in level:
            found.update(spelled.decode() for spelled in IN_CLEAR.findall(part))
        seen |= level
        level = {layer for part in level for layer in layers(part) if len(layer) >= 10} - seen
    return found


@dataclass(frozen=True)
class Dump:
    """The database twice over: what its columns say, and how they lie in its file."""

    columns: bytes
    pages: bytes

    def numbers(self) -> set[str]:
        return numbers_in(self.columns) | numbers_in(self.pages)


def dump() -> Dump:
    return of_sqlite() if connection.vendor == "sqlite" else of_postgresql()


def of_sqlite() -> Dump:
    connection.ensure_connection()
    lines = "\n".join(connection.connection.iterdump())
    with connection.cursor() as cursor:
        values = b"\n".join(
            value if isinstance(value, bytes) else str(value).encode()
            for table in connection.introspection.table_names(cursor)
            for row in cursor.execute(f'SELECT * FROM "{table}"').fetchall()
            for value in row
        )
    # The file as it would be if this were committed, free pages too.
    return Dump(lines.encode() + values, bytes(connection.connection.serialize()))


def of_postgresql() -> Dump:
    parts: list[bytes] = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT format('%%I.%%I', table_schema, table_name), format('%%I', column_name), data_type"
            " FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)"
            " WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')",
            [],
        )
        for table, column, kind in cursor.fetchall():
            as_bytes = column if kind == "bytea" else f"convert_to({column}::text, 'UTF8')"
            cursor.execute(f"SELECT {column}::text, {as_bytes} FROM {table} WHERE {column} IS NOT NULL")
            for text, raw in cursor.fetchall():
                parts += [text.encode(), bytes(raw)]
        cursor.execute("SELECT 1 FROM pg_largeobject_metadata")
        assert cursor.fetchall() == []
    return Dump(b"\n".join(parts), b"")


# --- everything that the registry does -----------------------------------------------------------------


def say_everything(w: World) -> None:
    """What subscribers can say, about half of the numbers each way."""
    for index, number in enumerate(SUBSCRIBERS):
        person = actions.add_subscriber(by=OPERATOR, at=START)
        holding = actions.claim(number=number, subscriber=person, by=SUBSCRIBER, at=START)
        w.authorize(number=number)
        if index % 2:
            actions.register(holding=holding, by=SUBSCRIBER, at=NOW)
            actions.set_preference(
                holding=holding, weekday=(540, 600), rest_day=None, no_requests=True, by=SUBSCRIBER, at=NOW
            )
        if index % 3 == 0:
            actions.refuse_firm(holding=holding, firm=w.shop, by=SUBSCRIBER, at=NOW)
        if index % 5 == 0:
            actions.revoke(authorizations=holding.authorizations.all(), by=SUBSCRIBER, at=NOW)
        if index % 4 == 0:
            actions.hand_over(
                number=number,
                subscriber=actions.add_subscriber(by=OPERATOR, at=NOW),
                keep_registration=True,
                by=SUBSCRIBER,
                at=NOW,
            )
    bulk.register_all(SUBSCRIBERS[:5], source=HoldingSource.IMPORT, by=OPERATOR, at=NOW)


def refusing(act: Callable[[], object]) -> None:
    """The act, refused as a door would see it, and logged with all that the error holds."""
    with pytest.raises(Refused) as refusal:
        act()
    logging.getLogger("doors").error("refused", exc_info=refusal.value)


def ask_everything(w: World) -> None:
    """Checks and batches, with numbers where a firm might put them."""
    asked = check.Asked(parse_caller(LOANS_LINE), "", w.offer.code, Channel.VOICE, client_ref="list")
    for index, number in enumerate(SUBSCRIBERS):
        spelled = list(spellings(number).values())[index % 6]
        w.ask(spelled, matter=w.offer.code, client_ref=f"客户{spelled}/第1次")
        w.ask(f"{number.national}转5", client_ref=f"lead-{number.national}-20260107")
        w.ask(caller=number.e164, client_ref=number.e164)
    callees = [check.read_callee(text) for number in SUBSCRIBERS for text in spellings(number).values()]
    check.check_batch(asked, callees, credential=w.credential, at=NOW)
    check.check_batch(asked, callees[:1], credential=w.credential, at=NOW)


def knock_at_every_door(w: World, client: Client) -> None:
    """The HTTP API, answering, refusing, and asked for what it does not have."""
    terms = {"caller": "010 6552 9988", "purpose": "loan_finance", "channel": "voice"}
    key = {"Authorization": f"Bearer {w.key}"}
    for number in SUBSCRIBERS[:6]:
        bare = spellings(number)["bare"]
        asked = {**terms, "callee": bare, "client_ref": f"{bare}#1"}
        for body in (
            asked,
            {**asked, "caller": bare},
            {**asked, "purpose": bare},
            {**asked, "matter": bare, "purpose": None},
            {**asked, bare: bare},
            {**asked, "for_time": bare},
        ):
            client.post("/api/v1/checks", body, content_type="application/json", headers=key)
        client.post("/api/v1/checks", bare, content_type="application/json", headers=key)
        batch = {**terms, "callees": list(spellings(number).values()), "client_ref": bare}
        client.post("/api/v1/checks/batch", batch, content_type="application/json", headers=key)
        client.get(f"/api/v1/callers/{bare}")
        once = {**key, "Idempotency-Key": bare}
        for path, body in (
            ("refusals", {"number": bare, "said_at": clock.iso(clock.now())}),
            ("refusals", {"number": bare, "said_at": clock.iso(clock.now()), "on_behalf_of": bare}),
            ("authorizations/search", {"number": bare, "cursor": bare}),
            ("authorizations/search", {"number": bare}),
            ("receipts/confirm", {"jti": "0" * 32, "number": bare}),
            ("matters", {"code": bare, "purpose": bare, "title": bare, "wording": bare}),
            ("matters", {"code": "x", "purpose": "retail", "title": "x", "wording": f"请拨 {bare}"}),
            ("mandates", {"client": bare}),
        ):
            client.post(f"/api/v1/{path}", body, content_type="application/json", headers=once)
        client.get("/api/v1/matters", {"purpose": bare, "cursor": bare}, headers=key)
        client.get(f"/{bare}/", {"number": bare})


@pytest.fixture
def told(w: World, client: Client, caplog: pytest.LogCaptureFixture) -> World:
    """A world in which all of it has happened, every line of every logger kept, each statement's too."""
    for logger in ("", "django", "django.request", "django_structlog"):
        caplog.set_level(logging.DEBUG, logger)
    connection.force_debug_cursor = True
    try:
        say_everything(w)
        ask_everything(w)
        knock_at_every_door(w, client)
        refusing(lambda: w.authorize(number=SUBSCRIBERS[0], months=99))
        refusing(lambda: PhoneNumber.parse(f"{SUBSCRIBERS[0].national}x1"))
    finally:
        connection.force_debug_cursor = False
    return w


def logged(caplog: pytest.LogCaptureFixture) -> bytes:
    """All lines, the preparation's too, as the registry's own handler would write them."""
    (formatter,) = {
        handler.formatter for handler in logging.getLogger().handlers if isinstance(handler.formatter, MaskingFormatter)
    }
    records = [*caplog.get_records("setup"), *caplog.get_records("call")]
    return "\n".join(formatter.format(record) for record in records).encode()


# --- the rulings -----------------------------------------------------------------------------------------


def test_no_number_is_in_the_database_or_in_the_logs(told: World, caplog: pytest.LogCaptureFixture) -> None:
    assert Number.objects.count() == len(SUBSCRIBERS)
    assert Holding.objects.count() > len(SUBSCRIBERS)
    assert CheckRecord.objects.filter(caller_pseudonym__isnull=False).count() >= len(SUBSCRIBERS)
    assert CheckRecord.objects.filter(callee__isnull=True).exists()
    assert CheckSet.objects.count() > 2
    assert AllowDay.objects.exists()
    assert LodgedRefusal.objects.count() == IdempotencyKey.objects.count() == 6
    assert CheckRecord.objects.filter(checked_at__gt=NOW).exists()  # by HTTP, dated by the clock
    taken = dump()
    # What must be there, so that we know the dump is one: the firms' own numbers, and masked references.
    assert LOANS_LINE.encode() in taken.columns
    assert "客户+86138****8000/第1次".encode() in taken.columns
    lines = logged(caplog)
    assert b"INSERT INTO" in lines
    assert b"bad_term" in lines
    assert taken.numbers() == set()
    assert numbers_in(lines) == set()


def test_the_dump_has_what_stands_for_every_number(told: World) -> None:
    """It misses no table; and with the key each number can be read back, so none is lost either."""
    pseudonymizer = keys.pseudonymizer()
    read = {pseudonymizer.reveal(row.key, bytes(row.pseudonym)) for row in Number.objects.all()}
    assert read == set(SUBSCRIBERS)
    pseudonyms = pseudonymizer.pseudonym_many(SUBSCRIBERS)
    columns = dump().columns
    assert all(pseudonym in columns for pseudonym in pseudonyms)
    packed = b"".join(bytes(segment.packed) for segment in CheckSegment.objects.all())
    assert all(pseudonym in packed for pseudonym in pseudonyms)


# --- that it could fail ----------------------------------------------------------------------------------


def base64url(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda content: content,
    "base64": base64.b64encode,
    "base64url": lambda content: base64url(b"\xff\xfe" + content),
    "amid-letters": lambda content: b"ref" + base64.b64encode(content) + b"end",
    "hex": lambda content: content.hex().encode(),
    "zlib": zlib.compress,
    "zlib-amid-bytes": lambda content: bytes(range(16)) + zlib.compress(content, 9),
    "base64-of-zlib": lambda content: base64.b64encode(zlib.compress(content)),
    "zlib-of-base64-of-zlib": lambda content: zlib.compress(base64url(zlib.compress(content))),
}
SPELLED = spellings(SUBSCRIBERS[0])
FIXED_LINE = spellings(SUBSCRIBERS[16])


def plant_in_text(content: bytes) -> None:
    Firm.objects.create(credit_code="X", name=f"预约：{content.decode()}。")


def plant_in_json(content: bytes) -> None:
    Event.objects.create(
        verb="firm.registered",
        actor_kind="system",
        object_kind="firm",
        object_id="1",
        at=NOW,
        state={"note": [content.decode()]},
    )


def plant_in_bytes(content: bytes) -> None:
    check_set = CheckSet.objects.create(
        id="019b0000-0000-7000-8000-000000000000",
        checked_at=NOW,
        for_time=NOW,
        valid_until=NOW,
        firm_id=1,
        credential_id=1,
        policy_id=1,
        number_key=1,
        channel=1,
        rows=1,
        segments=1,
        input_digest=b"",
        result_digest=b"",
    )
    CheckSegment.objects.create(check_set=check_set, segment=0, packed=content)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("spelling", SPELLED)
def test_a_number_planted_in_any_spelling_is_found(db: None, spelling: str, encoding: str) -> None:
    plant_in_bytes(ENCODINGS[encoding](SPELLED[spelling].encode()))
    assert SPELLED[spelling] in " ".join(dump().numbers())


@pytest.mark.parametrize("plant", [plant_in_text, plant_in_json])
@pytest.mark.parametrize("encoding", ["plain", "base64", "hex", "base64-of-zlib"])
def test_a_number_planted_in_any_kind_of_column_is_found(
    db: None, plant: Callable[[bytes], None], encoding: str
) -> None:
    plant(ENCODINGS[encoding](SPELLED["bare"].encode()))
    assert dump().numbers() == {SPELLED["bare"]}


@pytest.mark.parametrize("spelling", FIXED_LINE)
def test_a_planted_fixed_line_is_found(db: None, spelling: str) -> None:
    plant_in_text(FIXED_LINE[spelling].encode())
    assert dump().numbers() == {FIXED_LINE[spelling]}


def test_an_empty_registry_has_no_numbers(db: None) -> None:
    assert dump().numbers() == set()


if connection.vendor == "sqlite":

    def test_a_deleted_number_is_found_in_the_files_pages(db: None) -> None:
        """A row that is gone from every table may still lie in a page."""
        plant_in_text(SPELLED["bare"].encode())
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA secure_delete = OFF")
            cursor.execute("DELETE FROM telemarketers_firm")
        taken = dump()
        assert numbers_in(taken.columns) == set()
        assert numbers_in(taken.pages) == {SPELLED["bare"]}


@pytest.mark.parametrize("spelling", SPELLED)
def test_a_number_in_a_log_line_is_masked_and_would_be_found(caplog: pytest.LogCaptureFixture, spelling: str) -> None:
    logging.getLogger("doors").warning("call to %s", SPELLED[spelling])
    assert numbers_in(caplog.text.encode()) == {SPELLED[spelling]}
    assert b"call to " in logged(caplog)
    assert numbers_in(logged(caplog)) == set()


def test_a_number_in_a_traceback_is_masked(caplog: pytest.LogCaptureFixture) -> None:
    try:
        json.loads(SPELLED["bare"] + "x")
        raise AssertionError
    except ValueError:
        logging.getLogger("doors").exception("malformed: %s", {"callee": SPELLED["spaces"]})
    assert numbers_in(logged(caplog)) == set()
