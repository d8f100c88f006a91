from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _
from joserfc.jwk import KeySetSerialization

from consents import receipts


class Command(BaseCommand):
    help = (
        "Verify a receipt offline and show what it says. Takes the receipt, or on standard input the receipt or the "
        "whole JSON answer of a check. Without --keys the registry's own published keys are used."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("receipt", nargs="?", help="default: read from standard input")
        parser.add_argument("--keys", type=Path, help="a saved copy of /.well-known/jwks.json")

    def handle(self, *, receipt: str | None, keys: Path | None, **options: Any) -> None:
        claims = receipts.verify(_receipt_in(receipt or sys.stdin.read()), _published(keys))
        self.stdout.write(json.dumps(claims, ensure_ascii=False, indent=2))
        self.stdout.write(_meaning(claims, datetime.now(UTC)))


def _meaning(claims: dict[str, Any], now: datetime) -> str:
    begins = datetime.fromisoformat(claims["for_time"])
    expires = datetime.fromtimestamp(claims["exp"], UTC)
    span = {
        "begins": timezone.localtime(begins).isoformat(timespec="seconds"),
        "until": timezone.localtime(expires).isoformat(timespec="seconds"),
    }
    if claims.get("test"):
        return _("Genuine, but a test receipt: it allows nothing.")
    if claims.get("verdict") == "block":
        return _("Genuine: the registry said not to call.")
    if now >= expires:
        return _("Genuine as evidence of calls from {begins} until before {until}; no new calls.").format(**span)
    if "rows" in claims:
        return _("Genuine: the rows answered “allow” may be called from {begins} until before {until}.").format(**span)
    return _("Genuine: calls may be begun from {begins} until before {until}.").format(**span)


def _receipt_in(text: str) -> str:
    text = text.strip()
    if not text.startswith("{"):
        return text
    try:
        return str(json.loads(text)["receipt"])
    except (ValueError, KeyError) as error:
        raise CommandError(_("There is no receipt in this answer: {text}").format(text=text[:200])) from error


def _published(keys: Path | None) -> KeySetSerialization:
    if keys is None:
        return receipts.jwk_set()
    try:
        published: KeySetSerialization = json.loads(keys.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CommandError(f"{keys}: {error}") from error
    return published
