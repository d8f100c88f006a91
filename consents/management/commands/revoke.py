from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import gettext as _

from consents import actions
from consents.management import arguments
from dncregistry.errors import Refused
from record import clock
from record.ledger import OPERATOR
from record.numbers import PhoneNumber


class Command(BaseCommand):
    help = "Take permissions for a number back: all of them, all of a firm, or one matter or purpose of a firm."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("number", type=arguments.phone_number, help='such as "138 0013 8000"')
        parser.add_argument("--firm", metavar="CREDIT_CODE")
        about = parser.add_mutually_exclusive_group()
        about.add_argument("--matter", metavar="CODE", help="of that firm")
        about.add_argument("--purpose", metavar="CODE")

    def handle(
        self,
        *,
        number: PhoneNumber,
        firm: str | None,
        matter: str | None,
        purpose: str | None,
        **options: Any,
    ) -> None:
        at = clock.now()
        holding = actions.holding_of(number, at)
        if holding is None:
            raise Refused("nothing_to_revoke", _("Nothing has been said about this number."))
        authorizations = holding.authorizations.all()
        if firm:
            authorizations = authorizations.filter(firm=arguments.firm(firm))
        if matter:
            authorizations = authorizations.filter(matter__code=matter)
        if purpose:
            authorizations = authorizations.filter(purpose=arguments.purpose(purpose))
        ended = actions.revoke(authorizations=authorizations, by=OPERATOR, at=at)
        self.stdout.write(_("Authorizations revoked: {ended}. Every check from now on obeys.").format(ended=ended))
