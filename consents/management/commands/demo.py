from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from consents import bulk
from consents.terms import HoldingSource
from dncregistry.firstrun import secret_file
from record import clock
from record.ledger import OPERATOR
from record.numbers import PhoneNumber, parse_caller
from telemarketers import credentials, shipped
from telemarketers.actions import firms, rules
from telemarketers.models import Credential, Firm, Policy, Purpose
from telemarketers.terms import Mode, Scope

FIRM = "91110000MA0000001L"
CALLER = "010 6552 9988"
CLIENT = "91310000MA1FL0001R"  # a firm that could be called for, once it confirms
KEYS_FILE = settings.VAR_DIR / "demo_keys.json"

# Prefixes of Chinese mobile numbers, so that the world's numbers look like those of real lists.
PREFIXES = ("133", "135", "138", "139", "150", "155", "166", "177", "186", "198")
# Coprime with 10^8, so that consecutive numbers are far apart and none repeats.
STRIDE, OFFSET = 26_544_357, 12_345_678


class Command(BaseCommand):
    help = (
        "Fill the registry with a demonstration world, always the same: a policy, a firm that offers loans and sells "
        "goods, its keys, and as many registered numbers as you like. Safe to run again; a larger number adds more."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--registrations", type=int, default=1000, metavar="N", help="default: 1000")
        parser.add_argument("--key", choices=Mode.values, help="then print this key of the demo firm, and nothing else")

    def handle(self, *, registrations: int, key: str | None, **options: Any) -> None:
        if not settings.EMBEDDED:
            raise CommandError("The demonstration world belongs to the embedded profile; this is production.")
        at = clock.now()
        if not Policy.objects.exists():
            rules.add_missing_purposes(shipped.purposes(), by=OPERATOR, at=at)
            rules.publish_policy(
                version="demo-1", document=_all_day(shipped.policy("china")), starts=at, by=OPERATOR, at=at
            )
        firm = Firm.objects.filter(credit_code=FIRM).first() or _firm(at)
        if not Firm.objects.filter(credit_code=CLIENT).exists():
            client = firms.register_firm(credit_code=CLIENT, name="示范商店有限公司", by=OPERATOR, at=at)
            firms.approve_firm(firm=client, by=OPERATOR, at=at)
        keys = demo_keys(firm, at)
        self._register(registrations, at)
        if key:
            self.stdout.write(keys[key])

    def _register(self, wanted: int, at: datetime) -> None:
        done = 0
        for chunk in _chunks(wanted):
            bulk.register_all(chunk, source=HoldingSource.IMPORT, by=OPERATOR, at=at)
            done += len(chunk)
            if self.stderr.isatty():
                registered = _("numbers registered")
                self.stderr.write(f"\r{done:,} / {wanted:,} {registered}", ending="")
                self.stderr.flush()
        if done and self.stderr.isatty():
            self.stderr.write("")


def demo_keys(firm: Firm, at: datetime) -> dict[str, str]:
    """The demo firm's live and test key, issued once and kept in an ignored file so that they can be shown again."""
    kept: dict[str, str] = json.loads(secret_file(KEYS_FILE, lambda: b"{}"))
    for mode in Mode:
        digest = credentials.digest(kept.get(mode, ""))
        present = Credential.objects.in_force(at).filter(firm=firm, digest=digest).first()
        if present is None or set(present.scopes) < set(Scope):  # a key of an earlier version opens fewer doors
            _credential, kept[mode] = firms.issue_credential(
                firm=firm, mode=mode, scopes=tuple(Scope), label="demo", by=OPERATOR, at=at
            )
    KEYS_FILE.write_text(json.dumps(kept))
    return kept


def numbers(count: int) -> Iterator[PhoneNumber]:
    """The first `count` numbers of the demonstration world."""
    for index in range(count):
        digits = (index * STRIDE + OFFSET) % 10**8
        yield PhoneNumber(f"+86{PREFIXES[index % len(PREFIXES)]}{digits:08}")


def _chunks(count: int) -> Iterator[list[PhoneNumber]]:
    chunk: list[PhoneNumber] = []
    for number in numbers(count):
        chunk.append(number)
        if len(chunk) == bulk.CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _all_day(document: dict[str, Any]) -> dict[str, Any]:
    """The Chinese rules, except that a first check must work at night too."""
    return {**document, "hours": [["00:00", "24:00"]], "calls_on_public_holidays": True}


def _firm(at: datetime) -> Firm:
    firm = firms.register_firm(credit_code=FIRM, name="示范金融商贸有限公司", by=OPERATOR, at=at)
    firms.approve_firm(firm=firm, by=OPERATOR, at=at)
    firms.add_calling_number(firm=firm, number=parse_caller(CALLER), display_name="示范金融", by=OPERATOR, at=at)
    for code in ("loan_finance", "retail", "verification"):
        purpose = Purpose.objects.get(pk=code)
        firms.grant_licence(firm=firm, purpose=purpose, document="demo", by=OPERATOR, at=at)
    for code, purpose_code, title, wording in MATTERS:
        matter = firms.submit_matter(
            firm=firm,
            code=code,
            purpose=Purpose.objects.get(pk=purpose_code),
            title=title,
            wording=wording,
            by=OPERATOR,
            at=at,
        )
        firms.approve_matter(matter=matter, by=OPERATOR, at=at)
    return firm


MATTERS = (
    ("spring-loan", "loan_finance", "春季贷款优惠", "我们想打电话向您介绍春季贷款优惠。您随时可以撤回同意。"),
    ("member-sale", "retail", "会员促销", "我们想打电话告诉您会员促销的消息。您随时可以撤回同意。"),
    ("login-code", "verification", "登录验证码", "我们会把您登录用的验证码发给您。"),
)
