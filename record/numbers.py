"""Is this text a number that can be dialled, and which one?

The only place where text becomes a number: past it, a number is a value that cannot be wrong. What it accepts
is what phonenumbers holds possible for China (+86), a little narrowed by the numbering plan (see
`_is_dialable`). It must not ask whether a number is assigned, who holds it or what kind of range it lies in
(`record.plan`), and no message, `str` or `repr` of a subscriber's number may show it in clear.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import phonenumbers
from django.utils.translation import gettext_lazy as _

from dncregistry.errors import Refused

if TYPE_CHECKING:
    from dncregistry.errors import Text

COUNTRY: Final = "86"
# Characters. The longest real spelling has about 30, and normalizing can make a text 18 times as long.
LONGEST_TEXT: Final = 64
LONGEST_LOCAL: Final = 8  # digits of a fixed line after its area code

REFUSALS: Final[dict[str, Text]] = {
    "empty": _("No number was given. Write one, such as 138 0013 8000 or 010 6552 9988."),
    "not_a_number": _(
        "This is not one telephone number. Write digits only, one number at a time; "
        "spaces, dashes, dots, brackets and a leading +86 are allowed."
    ),
    "length": _(
        "This has too many or too few digits for a Chinese number. A mobile number has 11; "
        "a fixed line has its area code and 7 or 8 more."
    ),
    "foreign": _(
        "This number belongs to another country or region. Only numbers of mainland China (+86) are registered here."
    ),
    "excel_rounded": _(
        "A spreadsheet has rounded this number, to something like 1.38E+10, and its last digits are lost. "
        "Format the column as text, enter the numbers again and export the file once more."
    ),
    "no_area_code": _("This looks like a local number. Write its area code first, such as 010 6552 9988."),
    "extension": _("An extension cannot be registered or checked. Write the number without it."),
}


class NumberRefused(Refused):
    """Text that is no number one could dial. `code` is a key of `REFUSALS`; the text itself is not kept."""

    def __init__(self, code: str, *, field: str | None = None) -> None:
        super().__init__(code, REFUSALS[code], field=field)


@dataclass(frozen=True, slots=True, order=True, repr=False)
class PhoneNumber:
    """A dialable number of mainland China in E.164, such as +8613800138000: 16 characters at the most.

    Make one with `parse`. `str` and `repr` are masked, so that a careless log line does no harm; `e164` is
    the clear text.
    """

    e164: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The number that `text` spells. Raises NumberRefused."""
        if mobile := _WELL_FORMED_MOBILE.fullmatch(text):
            return cls(f"+{COUNTRY}{mobile[1]}{mobile[2]}{mobile[3]}")
        return cls(f"+{COUNTRY}{_read(text).subscriber()}")

    @property
    def national(self) -> str:
        """The digits after +86: no trunk zero."""
        return self.e164[3:]

    @property
    def masked(self) -> str:
        """As it may be logged and listed, without the four digits before the last: +86138****8000."""
        return f"{self.e164[:3]}{self.national[:-8]}****{self.e164[-4:]}"

    @property
    def text(self) -> str:
        """The stored text of a calling number. Calling numbers of firms are public; a subscriber's is not."""
        return self.e164

    def __str__(self) -> str:
        return self.masked

    def __repr__(self) -> str:
        return f"PhoneNumber({self.masked})"


@dataclass(frozen=True, slots=True, order=True)
class ServiceCode:
    """A national service code: 95588, 4008123456, 10690…, 12345, 10086, 700…. Public, so shown in clear."""

    digits: str

    @property
    def text(self) -> str:
        return self.digits

    def __str__(self) -> str:
        return self.digits


def parse_caller(text: str) -> PhoneNumber | ServiceCode:
    """The calling number that `text` spells: a service code if it looks like one. Raises NumberRefused.

    One code has one text: 400-812-3456, +86 400 812 3456 and 0400 812 3456 are the same. A bare 10-digit 106… is an SMS
    port, while +86 10 6… and 010 6… are Beijing lines: nobody in China writes an area code without its zero.
    """
    if _WELL_FORMED_MOBILE.fullmatch(text):
        return PhoneNumber.parse(text)
    spelled = _read(text)
    is_beijing_line = spelled.is_introduced and _BEIJING_LINE.fullmatch(spelled.national)
    if is_beijing_line or not _SERVICE_CODE.fullmatch(spelled.national):
        return PhoneNumber(f"+{COUNTRY}{spelled.subscriber()}")
    return ServiceCode(spelled.national)


# --- how numbers are spelled -----------------------------------------------------------------------------

# The spellings of nearly all rows of nearly all files. [0-9], never \d, which takes any script's digits.
_WELL_FORMED_MOBILE = re.compile(r"(?:(?:\+|00)?86[ -]?)?(1[3-9][0-9])[ -]?([0-9]{4})[ -]?([0-9]{4})")

_SERVICE_CODE = re.compile(
    r"95[0-9]{3,7}"  # firms and call centres
    r"|96[0-9]{3,4}"  # provincial services
    r"|400[0-9]{7}|1010[0-9]{4}"  # shared cost
    r"|106[0-9]{5,17}"  # SMS ports, and 13-digit machine numbers in 1064
    r"|1(?:10|19|2[0-9]{1,3})"  # emergency and public services
    r"|100[0-9]{2,6}"  # the carriers' own, with their extra digits: 10086, 1008611
    r"|700[0-9]{12}"  # privacy numbers, shown with 15 digits
)
_BEIJING_LINE = re.compile(r"106[0-9]{7}")

_ROUNDED = re.compile(r"[0-9][.,][0-9]+[Ee]\+?[0-9]{1,2}|[0-9][Ee]\+?[0-9]{1,2}")
_FLOAT = re.compile(r"([0-9]+)\.0+")
_EXTENSION = re.compile(r"[0-9][ )]*(?:[;,]? ?ext|[x#转轉分])", re.IGNORECASE)
_SPELLING = re.compile(r"\(?(\+?)([0-9 .()-]+)")
_NOT_A_DIGIT = re.compile(r"[^0-9]+")
_CARRIER_SELECTED = re.compile(r"1(?:[12][0-9]|79)[0-9]{2}(0[1-9][0-9]{8,10}|1[3-9][0-9]{9})")
_MOBILE_START = re.compile(r"1[3-9]")

_QUOTES = "'\"‘’“”`= "  # what spreadsheets put around a cell to keep it text
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−─"), "-") | {ord("·"): ".", ord("•"): "."}


@dataclass(frozen=True, slots=True)
class _Spelled:
    """The national digits of a spelling, and how they were introduced."""

    national: str
    country_code: bool
    trunk_zero: bool

    @property
    def is_introduced(self) -> bool:
        return self.country_code or self.trunk_zero

    def subscriber(self) -> str:
        """The national digits, if they can be dialled as a subscriber's number. Raises NumberRefused."""
        if len(self.national) in (7, 8) and not (self.is_introduced and _is_assigned(self.national)):
            raise NumberRefused("no_area_code")
        if not _is_dialable(self.national):
            raise NumberRefused("length")
        return self.national


def _read(text: str) -> _Spelled:
    """Take a spelling apart. Raises NumberRefused for what is not one Chinese number of any length."""
    plain = _plain(text)
    if not plain:
        raise NumberRefused("empty")
    if _ROUNDED.fullmatch(plain):
        raise NumberRefused("excel_rounded")
    if _EXTENSION.search(plain):
        raise NumberRefused("extension")
    # 13800138000.0 is a cell that a program read as a float. Every telephone number is far below 2**53, so
    # the float is exact and nothing is lost but the type. Taking the dot for a separator would append a
    # nought: another number.
    if exact := _FLOAT.fullmatch(plain):
        plain = exact[1]
    spelling = _SPELLING.fullmatch(plain)
    if not spelling:
        raise NumberRefused("not_a_number")
    return _national(_NOT_A_DIGIT.sub("", spelling[2]), plus=bool(spelling[1]))


def _plain(text: str) -> str:
    """The text in ASCII digits, signs and spaces, without quotes, invisible characters and a leading tel:."""
    text = text.strip()
    if len(text) > LONGEST_TEXT:
        raise NumberRefused("not_a_number")
    # Circled and raised digits are list marks and footnotes; normalizing would make them digits of the
    # number.
    if any(unicodedata.category(c) == "No" for c in text):
        raise NumberRefused("not_a_number")
    text = unicodedata.normalize("NFKC", text).translate(_DASHES)
    # Cf: byte-order, zero-width and direction marks.
    text = "".join(_ascii(c) for c in text if unicodedata.category(c) != "Cf")
    return text.strip(_QUOTES).removeprefix("tel:").removeprefix("TEL:").strip()


def _ascii(character: str) -> str:
    if character.isspace():
        return " "
    if character.isdecimal() and not character.isascii():
        return str(unicodedata.decimal(character))  # Arabic-Indic…; full-width ones are ASCII by now
    return character


def _national(digits: str, *, plus: bool) -> _Spelled:
    """Remove the country code, the trunk zero and a carrier-selection code."""
    country_code = plus
    if not plus and digits.startswith("00"):
        digits, country_code = digits[2:], True
    if not digits or (country_code and digits.startswith("0")):  # no country code starts with 0
        raise NumberRefused("not_a_number")
    if country_code and not digits.startswith(COUNTRY):
        raise NumberRefused("foreign")
    # No area code or mobile number starts with 86: before more than a local number it is the country code.
    if country_code or (len(digits) > LONGEST_LOCAL and digits.startswith(COUNTRY)):
        digits, country_code = digits[2:], True
    # 17951 or 12593 before a number chose a cheap long-distance carrier. phonenumbers drops such a code from
    # any number, and so makes a 7-digit number of a mistyped mobile: here only a whole number may follow it.
    if selected := _CARRIER_SELECTED.fullmatch(digits):
        digits = selected[1]
    trunk_zero = digits.startswith("0")
    return _Spelled(digits[trunk_zero:], country_code, trunk_zero)


# --- what can be dialled ---------------------------------------------------------------------------------


def _is_dialable(national: str) -> bool:
    """Possible by its length. Unallocated numbers are: they are ruled like any other."""
    if not national or national.startswith("0"):
        return False
    # 13 to 19 start mobile numbers and nothing else, and those have 11 digits. phonenumbers, which looks at
    # lengths of all kinds of numbers together, would let a mobile pass with a digit too few or too many.
    if _MOBILE_START.match(national):
        return len(national) == 11
    # The longest national number has 11 digits (numbering plan of 2017); 12 only some freephone numbers have.
    if len(national) > 11 and not _is_assigned(national):
        return False
    possible = phonenumbers.is_possible_number_with_reason(_for_phonenumbers(national))
    return possible == phonenumbers.ValidationResult.IS_POSSIBLE  # not: possible within its area only


def _is_assigned(national: str) -> bool:
    """phonenumbers knows the number's range, as of an area code with a service code: 010 95588."""
    return phonenumbers.is_valid_number(_for_phonenumbers(national))


def _for_phonenumbers(national: str) -> phonenumbers.PhoneNumber:
    return phonenumbers.PhoneNumber(country_code=int(COUNTRY), national_number=int(national))
