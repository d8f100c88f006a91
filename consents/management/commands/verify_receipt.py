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
        expires = datetime.fromtimestamp(claims["exp"], UTC)
        until = timezone.localtime(expires).isoformat()
        if claims.get("test"):
            self.stdout.write(_("Genuine, but a test receipt: it allows nothing."))
        elif claims.get("verdict") == "block":
            self.stdout.write(_("Genuine: the registry said not to call."))
        elif expires > datetime.now(UTC):
            self.stdout.write(_("Genuine: calls may be begun before {until}.").format(until=until))
        else:
            self.stdout.write(_("Genuine as evidence of calls before {until}; no new calls.").format(until=until))


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
