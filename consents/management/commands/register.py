from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from consents import actions
from consents.management import arguments
from consents.terms import HoldingSource
from record import clock
from record.ledger import OPERATOR
from record.numbers import PhoneNumber
from telemarketers.terms import ALL_CHANNELS


class Command(BaseCommand):
    help = (
        "Put a number on the do-not-call list: for all marketing, or for the purposes given. Ends the authorizations "
        "that this contradicts, except those named with --keep. Verification codes and other service messages go on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("number", type=arguments.phone_number, help='such as "138 0013 8000"')
        parser.add_argument("--purpose", dest="purposes", action="append", default=[], metavar="CODE")
        parser.add_argument("--keep", type=int, action="append", default=[], metavar="ID", help="an authorization's id")
        arguments.add_channels(parser, ALL_CHANNELS)

    def handle(
        self,
        *,
        number: PhoneNumber,
        purposes: list[str],
        keep: list[int],
        channels: list[str] | None,
        **options: Any,
    ) -> None:
        refused = [arguments.purpose(code) for code in purposes]
        with transaction.atomic():
            at = clock.now()
            holding = actions.hold(number=number, source=HoldingSource.OPERATOR, by=OPERATOR, at=at)
            before = holding.authorizations.in_force(at).count()
            registrations = actions.register(
                holding=holding,
                purposes=refused,
                channels=arguments.channels(channels, ALL_CHANNELS),
                keep=keep,
                by=OPERATOR,
                at=at,
            )
            ended = before - holding.authorizations.in_force(at).count()
        for registration in registrations:
            self.stdout.write(
                _("{number} is registered since {since}: {what}.").format(
                    number=number,
                    since=timezone.localtime(registration.starts).isoformat(timespec="seconds"),
                    what=registration.purpose or _("no marketing at all"),
                )
            )
        self.stdout.write(
            _("Authorizations ended: {ended}. Calls cleared before may still come for some minutes.").format(
                ended=ended
            )
        )
