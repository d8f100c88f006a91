"""A small world for tests to begin from: the Chinese policy, a loan firm, a retailer, a call centre.

Everything is made by the verbs that every door calls, so a test's world is one that could be.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.apps import apps
from django.db import connection
from django.db.models import Model

from consents import actions, check
from consents.check import Answer, Asked
from consents.models import Authorization, Holding
from consents.terms import HoldingSource
from record import guards
from record.ledger import OPERATOR, Actor
from record.models import KeyInUse, User
from record.numbers import PhoneNumber, parse_caller
from record.terms import ActorKind
from telemarketers import shipped
from telemarketers.actions import firms, rules
from telemarketers.models import Credential, Firm, Matter, Purpose
from telemarketers.terms import Channel, Mode, Scope

# Wednesday, 7 January 2026, 08:00 in Shanghai: the world is made. Calls are at NOON and later.
START = datetime(2026, 1, 7, 0, 0, tzinfo=UTC)
# Ten in the morning, within the hours for calling.
NOW = datetime(2026, 1, 7, 2, 0, tzinfo=UTC)

ALICE = PhoneNumber("+8613800138000")
BOB = PhoneNumber("+8613900139000")

LOANS_LINE = "+861065529988"
SHOP_LINE = "95188"
CENTRE_LINE = "+862161234567"

SUBSCRIBER = Actor(ActorKind.SUBSCRIBER, 1)


@dataclass
class World:
    loans: Firm
    shop: Firm
    centre: Firm
    offer: Matter  # of the loan firm, consent
    codes: Matter  # of the loan firm, service
    key: str
    credential: Credential
    shop_credential: Credential
    staff: User
    other_staff: User

    def purpose(self, code: str) -> Purpose:
        return Purpose.objects.get(pk=code)

    def hold(self, number: PhoneNumber = ALICE, at: datetime = START) -> Holding:
        return actions.hold(number=number, source=HoldingSource.OPERATOR, by=OPERATOR, at=at)

    def authorize(
        self,
        about: Matter | Purpose | None = None,
        number: PhoneNumber = ALICE,
        at: datetime = START,
        **more: Any,
    ) -> Authorization:
        more = {"channels": Channel.VOICE, "firm": self.loans, **more}
        return actions.authorize(holding=self.hold(number, at), about=about or self.offer, by=SUBSCRIBER, at=at, **more)

    def ask(
        self,
        callee: str = ALICE.e164,
        *,
        at: datetime = NOW,
        credential: Credential | None = None,
        caller: str = LOANS_LINE,
        purpose: str = "loan_finance",
        channel: Channel = Channel.VOICE,
        **more: Any,
    ) -> Answer:
        if "matter" in more:
            purpose = ""
        more.setdefault("matter", "")
        asked = Asked(caller=parse_caller(caller), purpose=purpose, channel=channel, **more)
        return check.check(asked, check.read_callee(callee), credential=credential or self.credential, at=at)

    def ruling(self, *arguments: Any, **more: Any) -> str:
        """What `ask` is answered, as "block no_authorization"."""
        ruling = self.ask(*arguments, **more).rulings[0]
        return f"{ruling.verdict} {ruling.reason}"

    def ask_shop(self, callee: str = ALICE.e164, **more: Any) -> str:
        """The retailer asks, for a purpose that is open until refused."""
        more = {"credential": self.shop_credential, "caller": SHOP_LINE, "purpose": "retail", **more}
        return self.ruling(callee, **more)


def of_subscribers(statements: Iterable[str]) -> list[str]:
    """Those of the statements that read or write what is known of subscribers.

    The clock's is none of them: it asks whether there is a check from the future, whoever it was about.
    """
    return [
        sql
        for sql in statements
        if ("consents_" in sql or "record_number" in sql) and "SELECT at FROM record_event" not in sql
    ]


def build(at: datetime = START, policy: str = "china") -> World:
    rules.add_missing_purposes(shipped.purposes(), by=OPERATOR, at=at)
    rules.publish_policy(version=f"{policy}-1", document=shipped.policy(policy), starts=at, by=OPERATOR, at=at)
    loans = firm("91110000MA0000001L", "示范贷款有限公司", at, "loan_finance", "verification", line=LOANS_LINE)
    shop = firm("91310000MA1FL0001R", "示范商店有限公司", at, "retail", line=SHOP_LINE)
    centre = firm("91310000MA1FL0002W", "示范呼叫中心有限公司", at, line=CENTRE_LINE)
    credential, key = issue(loans, at)
    return World(
        loans=loans,
        shop=shop,
        centre=centre,
        offer=matter(loans, "spring-loan", "loan_finance", at),
        codes=matter(loans, "login-codes", "verification", at),
        key=key,
        credential=credential,
        shop_credential=issue(shop, at)[0],
        staff=User.objects.create_user("a@regulator.example", name="甲", is_staff=True),
        other_staff=User.objects.create_user("b@regulator.example", name="乙", is_staff=True),
    )


def again() -> World:
    """The same world once more, in a database without one: `build` takes some 360 statements, its rows one a table."""
    if not _kept:
        before = {model: set(model._base_manager.values_list("pk", flat=True)) for model in apps.get_models()}
        made = build()
        _kept.append((made, [_rows(model, known) for model, known in before.items()]))
        return deepcopy(made)
    made, tables = _kept[0]
    with connection.cursor() as cursor:
        for table, columns, rows in tables:
            if rows:
                each = f"({', '.join(['%s'] * len(columns))})"
                cursor.execute(
                    f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([each] * len(rows))}",
                    [value for row in rows for value in row],
                )
    return deepcopy(made)


_kept: list[tuple[World, list[tuple[str, list[str], list[Any]]]]] = []


def _rows(model: type[Model], known: set[Any]) -> tuple[str, list[str], list[Any]]:
    """What is in the model's table, as it lies there, beyond the rows that are `known`."""
    fields = model._meta.concrete_fields
    columns = [connection.ops.quote_name(str(field.column)) for field in fields]
    key = [field.primary_key for field in fields].index(True)
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(columns)} FROM {table}")
        return table, columns, [row for row in cursor.fetchall() if row[key] not in known]


def firm(credit_code: str, name: str, at: datetime, *purposes: str, line: str) -> Firm:
    made = firms.register_firm(credit_code=credit_code, name=name, by=OPERATOR, at=at)
    firms.approve_firm(firm=made, by=OPERATOR, at=at)
    firms.add_calling_number(firm=made, number=parse_caller(line), display_name=name[:4], by=OPERATOR, at=at)
    for purpose in purposes:
        firms.grant_licence(firm=made, purpose=Purpose.objects.get(pk=purpose), document="许可", by=OPERATOR, at=at)
    return made


def issue(owner: Firm, at: datetime, mode: Mode = Mode.LIVE, scopes: Any = tuple(Scope)) -> tuple[Credential, str]:
    return firms.issue_credential(firm=owner, mode=mode, scopes=scopes, label="", by=OPERATOR, at=at)


def matter(owner: Firm, code: str, purpose: str, at: datetime) -> Matter:
    made = firms.submit_matter(
        firm=owner,
        code=code,
        purpose=Purpose.objects.get(pk=purpose),
        title=code,
        wording="可以就此事给您打电话吗？",
        by=OPERATOR,
        at=at,
    )
    firms.approve_matter(matter=made, by=OPERATOR, at=at)
    return made


def empty_all_rooms() -> None:
    """For tests that really commit: takes the guards off, deletes all rows and puts the guards back."""
    off, on = ["SET session_replication_role = replica"], "SET session_replication_role = origin"
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            triggers = [f"DROP TRIGGER {name}" for (name,) in cursor.fetchall()]
            off, on = ["PRAGMA foreign_keys = OFF", *triggers], "PRAGMA foreign_keys = ON"
        tables = [model._meta.db_table for model in apps.get_models() if not model.__module__.startswith("django.")]
        for statement in [*off, *(f"DELETE FROM {table}" for table in tables), on]:
            cursor.execute(statement)
    guards.install(connection)
    KeyInUse.objects.create(pk=1, starts=START)  # as the migration left it
