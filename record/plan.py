"""What is the range that a number lies in: which kind, whose, and for a fixed line where?

Facts of the numbering plan from `data/china_ranges.csv` and `data/china_areas.csv`, each row with its source
(`data/README.md`). A range says who was given the number, not who serves it today: numbers are portable
between carriers. It must not decide what may be called or registered beyond naming the kinds, and never looks
at a single subscriber.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from record.numbers import PhoneNumber, ServiceCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dncregistry.errors import Text

DATA: Final = Path(__file__).parent / "data"


class Kind(StrEnum):
    """What a range is for."""

    MOBILE = "mobile"
    MVNO = "mvno"
    FIXED = "fixed"
    SERVICE_95 = "service_95"
    CALL_CENTRE_95 = "call_centre_95"
    SERVICE_96 = "service_96"
    TOLL_SHARED_400 = "toll_shared_400"
    SMS_PORT_106 = "sms_port_106"
    PUBLIC_SERVICE_12 = "public_service_12"
    PRIVACY_700 = "privacy_700"
    CARRIER_100 = "carrier_100"
    IOT = "iot"
    SATELLITE = "satellite"
    UNKNOWN = "unknown"


KIND_NAMES: Final[dict[Kind, Text]] = {
    Kind.MOBILE: _("Mobile number"),
    Kind.MVNO: _("Mobile number of a reseller (virtual operator)"),
    Kind.FIXED: _("Fixed line"),
    Kind.SERVICE_95: _("Service line of a large firm (95)"),
    Kind.CALL_CENTRE_95: _("Call-centre operator (95)"),
    Kind.SERVICE_96: _("Provincial service line (96)"),
    Kind.TOLL_SHARED_400: _("Shared-cost number (400)"),
    Kind.SMS_PORT_106: _("SMS port (106)"),
    Kind.PUBLIC_SERVICE_12: _("Public service or emergency line"),
    Kind.PRIVACY_700: _("Privacy number (700)"),
    Kind.CARRIER_100: _("Customer service of a carrier (100)"),
    Kind.IOT: _("Device number (internet of things)"),
    Kind.SATELLITE: _("Satellite telephone"),
    Kind.UNKNOWN: _("Unallocated or unknown range"),
}

CARRIER_NAMES: Final[dict[str, Text]] = {
    "china_mobile": _("China Mobile"),
    "china_unicom": _("China Unicom"),
    "china_telecom": _("China Telecom"),
    "china_broadnet": _("China Broadnet"),
    "china_satnet": _("China SatNet"),
    "": _("not known"),
}

# ISO 3166-2:CN, without the "CN-".
PROVINCE_NAMES: Final[dict[str, Text]] = {
    "AH": _("Anhui"),
    "BJ": _("Beijing"),
    "CQ": _("Chongqing"),
    "FJ": _("Fujian"),
    "GD": _("Guangdong"),
    "GS": _("Gansu"),
    "GX": _("Guangxi"),
    "GZ": _("Guizhou"),
    "HA": _("Henan"),
    "HB": _("Hubei"),
    "HE": _("Hebei"),
    "HI": _("Hainan"),
    "HL": _("Heilongjiang"),
    "HN": _("Hunan"),
    "JL": _("Jilin"),
    "JS": _("Jiangsu"),
    "JX": _("Jiangxi"),
    "LN": _("Liaoning"),
    "NM": _("Inner Mongolia"),
    "NX": _("Ningxia"),
    "QH": _("Qinghai"),
    "SC": _("Sichuan"),
    "SD": _("Shandong"),
    "SH": _("Shanghai"),
    "SN": _("Shaanxi"),
    "SX": _("Shanxi"),
    "TJ": _("Tianjin"),
    "XJ": _("Xinjiang"),
    "XZ": _("Tibet"),
    "YN": _("Yunnan"),
    "ZJ": _("Zhejiang"),
}


@dataclass(frozen=True, slots=True)
class RangeInfo:
    """A range: its kind, the carrier that it was given to, and its first digits.

    `carrier` is "" if not known, and the host of a reseller.
    """

    kind: Kind
    carrier: str
    prefix: str


UNKNOWN: Final = RangeInfo(Kind.UNKNOWN, "", "")


def kind_of(number: PhoneNumber | ServiceCode) -> RangeInfo:
    """The range with the longest prefix of the number, among those of its length; UNKNOWN without one."""
    if isinstance(number, PhoneNumber):
        digits = number.national
        if area := area_code(number):  # first: Beijing's 10 6… has the digits of an SMS port
            return RangeInfo(Kind.FIXED, "", area)
    else:
        digits = number.digits
    ranges = _RANGES.get(len(digits), {})
    for size in range(_LONGEST_PREFIX, 1, -1):
        if found := ranges.get(digits[:size]):
            return found
    return UNKNOWN


def is_private_mobile(number: PhoneNumber | ServiceCode) -> bool:
    """People's own numbers: they cannot be registered as calling numbers (design, ruling 4)."""
    return kind_of(number).kind in (Kind.MOBILE, Kind.MVNO)


def area_code(number: PhoneNumber) -> str | None:
    """The area code of a fixed line, without its zero. None if the number is not one.

    Subscribers' local numbers have 7 or 8 digits, 8 in the two-digit areas, and start with 2 to 8 (numbering
    plan).
    """
    national = number.national
    size = 2 if national.startswith(("10", "2")) else 3
    area, local = national[:size], national[size:]
    if area not in _AREAS or not "2" <= local[:1] <= "8":
        return None
    return area if len(local) == 8 or (len(local) == 7 and size == 3) else None


def province_of(number: PhoneNumber) -> str | None:
    """The province of a fixed line, a key of PROVINCE_NAMES. None for all other numbers."""
    area = area_code(number)
    return _AREAS[area] if area else None


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _ranges() -> dict[int, dict[str, RangeInfo]]:
    """By the number's length, then by prefix."""
    ranges: defaultdict[int, dict[str, RangeInfo]] = defaultdict(dict)
    for row in _rows("china_ranges.csv"):
        shortest, _dash, longest = row["lengths"].partition("-")
        info = RangeInfo(Kind(row["kind"]), row["carrier"], row["prefix"])
        for length in range(int(shortest), int(longest or shortest) + 1):
            ranges[length][info.prefix] = info
    return dict(ranges)


_RANGES: Final = _ranges()
_LONGEST_PREFIX: Final = max(len(prefix) for ranges in _RANGES.values() for prefix in ranges)
_AREAS: Final = {row["area_code"]: row["province"] for row in _rows("china_areas.csv")}
