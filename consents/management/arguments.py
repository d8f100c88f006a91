"""What the arguments of several commands mean: a number, channels, a firm, its matter, a purpose."""

from __future__ import annotations

from argparse import ArgumentTypeError

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from dncregistry.errors import Refused
from record.numbers import NumberRefused, PhoneNumber
from telemarketers.models import Firm, Matter, Purpose
from telemarketers.terms import Channel


def phone_number(text: str) -> PhoneNumber:
    try:
        return PhoneNumber.parse(text)
    except NumberRefused as refused:
        raise ArgumentTypeError(str(refused.detail)) from refused


def add_channels(parser: CommandParser, default: Channel) -> None:
    parser.add_argument(
        "--channel",
        dest="channels",
        action="append",
        choices=[channel.label for channel in Channel],
        help=f"may be given more than once; default: {', '.join(channel.label for channel in default)}",
    )


def channels(labels: list[str] | None, default: Channel) -> Channel:
    named = Channel(0)
    for label in labels or ():
        named |= Channel.named(label)
    return named or default


def firm(credit_code: str) -> Firm:
    found = Firm.objects.filter(credit_code=credit_code).first()
    if found is None:
        raise Refused("unknown_firm", _("No firm has the credit code {code}.").format(code=credit_code))
    return found


def matter(of: Firm, code: str) -> Matter:
    found: Matter | None = of.matters.filter(code=code).first()
    if found is None:
        raise Refused("unknown_matter", _("{firm} has no matter {code}.").format(firm=of, code=code))
    return found


def purpose(code: str) -> Purpose:
    found = Purpose.objects.filter(code=code).first()
    if found is None:
        known = ", ".join(Purpose.objects.order_by("code").values_list("code", flat=True))
        raise Refused(
            "unknown_purpose",
            _("There is no purpose {code}. There are: {known}").format(code=code, known=known),
        )
    return found
