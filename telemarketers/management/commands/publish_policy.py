from __future__ import annotations

import argparse
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from record import clock
from record.ledger import OPERATOR
from telemarketers import shipped
from telemarketers.actions import rules


class Command(BaseCommand):
    help = (
        "Publish the regulator's rules: a shipped policy by name, or a document of your own (docs/policy.md). "
        "Adds the shipped purposes where they are missing. Without --starts the policy begins now; one that "
        "protects citizens less than its predecessor must begin at least 30 days ahead."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("policy", help=f"{', '.join(shipped.POLICIES)}, or the path of a JSON document")
        parser.add_argument("--name", required=True, help="its version, such as china-2027.1")
        parser.add_argument("--starts", type=_instant, help="ISO 8601 with offset, such as 2027-01-01T00:00+08:00")

    def handle(self, *, policy: str, name: str, starts: datetime | None, **options: Any) -> None:
        at = clock.now()
        document = shipped.policy(policy) if policy in shipped.POLICIES else _read(Path(policy))
        rules.add_missing_purposes(shipped.purposes(), by=OPERATOR, at=at)
        published = rules.publish_policy(version=name, document=document, starts=starts or at, by=OPERATOR, at=at)
        self.stdout.write(
            _("Policy {version} is published. It begins at {starts}.").format(
                version=published.version, starts=timezone.localtime(published.starts).isoformat()
            )
        )


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if timezone.is_naive(instant):
        raise argparse.ArgumentTypeError("Write the offset too, as in 2027-01-01T00:00+08:00.")
    return instant


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CommandError(f"{path}: {error}. Name one of {', '.join(shipped.POLICIES)} or a JSON file.") from error
    if not isinstance(document, dict):
        raise CommandError(f"{path} holds no JSON object.")
    return document
