from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from consents import actions
from consents.management import arguments
from consents.tasks import deliver_notices
from consents.terms import HoldingSource
from record import clock
from record.hurry import hurry
from record.ledger import OPERATOR
from record.numbers import PhoneNumber
from telemarketers.terms import Channel


class Command(BaseCommand):
    help = "Let one firm contact a number about one matter or, wider, for one purpose."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("number", type=arguments.phone_number, help='such as "138 0013 8000"')
        parser.add_argument("--firm", required=True, metavar="CREDIT_CODE")
        about = parser.add_mutually_exclusive_group(required=True)
        about.add_argument("--matter", metavar="CODE")
        about.add_argument("--purpose", metavar="CODE")
        parser.add_argument("--months", type=int, help="1 to 24; default: as the policy says (6)")
        arguments.add_channels(parser, Channel.VOICE)

    def handle(
        self,
        *,
        number: PhoneNumber,
        firm: str,
        matter: str | None,
        purpose: str | None,
        months: int | None,
        channels: list[str] | None,
        **options: Any,
    ) -> None:
        of = arguments.firm(firm)
        about = arguments.matter(of, matter) if matter else arguments.purpose(purpose or "")
        with transaction.atomic():
            at = clock.now()
            authorization = actions.authorize(
                holding=actions.hold(number=number, source=HoldingSource.OPERATOR, by=OPERATOR, at=at),
                firm=of,
                about=about,
                channels=arguments.channels(channels, Channel.VOICE),
                months=months,
                by=OPERATOR,
                at=at,
            )
            hurry(deliver_notices)
        last_day = timezone.localtime(authorization.ends - timedelta(days=1)).date()
        self.stdout.write(
            _(
                "{firm} may contact {number} about “{about}” to {last_day}, that day included (authorization {id})."
            ).format(
                firm=of,
                number=number,
                about=authorization.matter or authorization.purpose,
                last_day=last_day,
                id=authorization.pk,
            )
        )
