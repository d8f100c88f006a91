"""Which range a number lies in, and that the table agrees with what others publish."""

from __future__ import annotations

import csv
from typing import Final

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import carrier, geocoder

from record.numbers import PhoneNumber, ServiceCode, parse_caller
from record.plan import (
    CARRIER_NAMES,
    DATA,
    KIND_NAMES,
    PROVINCE_NAMES,
    UNKNOWN,
    Kind,
    area_code,
    is_private_mobile,
    kind_of,
    province_of,
)


@pytest.mark.parametrize(
    ("text", "kind", "operator", "prefix"),
    [
        pytest.param("13800138000", Kind.MOBILE, "china_mobile", "138", id="mobile"),
        pytest.param("13300138000", Kind.MOBILE, "china_telecom", "133", id="telecom"),
        pytest.param("18612345678", Kind.MOBILE, "china_unicom", "186", id="unicom"),
        pytest.param("19212345678", Kind.MOBILE, "china_broadnet", "192", id="broadnet"),
        pytest.param("13412345678", Kind.MOBILE, "china_mobile", "1341", id="134-0-to-8"),
        pytest.param("13491234567", Kind.UNKNOWN, "", "", id="1349-unassigned"),
        pytest.param("13492123456", Kind.SATELLITE, "china_telecom", "13492", id="1349-satellite"),
        pytest.param("17001234567", Kind.MVNO, "china_telecom", "1700", id="170-telecom"),
        pytest.param("17051234567", Kind.MVNO, "china_mobile", "1705", id="170-mobile"),
        pytest.param("17091234567", Kind.MVNO, "china_unicom", "1709", id="170-unicom"),
        pytest.param("16212345678", Kind.MVNO, "china_telecom", "162", id="162"),
        pytest.param("16512345678", Kind.MVNO, "china_mobile", "165", id="165"),
        pytest.param("16712345678", Kind.MVNO, "china_unicom", "167", id="167"),
        pytest.param("17112345678", Kind.MVNO, "china_unicom", "171", id="171"),
        pytest.param("17400123456", Kind.SATELLITE, "china_telecom", "17400", id="1740-satellite"),
        pytest.param("17490123456", Kind.SATELLITE, "", "1749", id="1749-satellite"),
        pytest.param("16190123456", Kind.SATELLITE, "china_satnet", "1619", id="1619-satellite"),
        pytest.param("14812345678", Kind.IOT, "china_mobile", "148", id="148-devices"),
        pytest.param("1064812345678", Kind.IOT, "", "1064", id="machine-number"),
        pytest.param("15412345678", Kind.UNKNOWN, "", "", id="unallocated-mobile"),
        pytest.param("10100000001", Kind.UNKNOWN, "", "", id="test-number"),
        pytest.param("010 6552 9988", Kind.FIXED, "", "10", id="beijing"),
        pytest.param("0571 8888 6666", Kind.FIXED, "", "571", id="hangzhou"),
        pytest.param("0898 888 6666", Kind.FIXED, "", "898", id="seven-digit-local"),
        pytest.param("95588", Kind.SERVICE_95, "", "955", id="bank"),
        pytest.param("95338", Kind.SERVICE_95, "", "953", id="courier"),
        pytest.param("950131234", Kind.CALL_CENTRE_95, "", "950", id="call-centre"),
        pytest.param("952512", Kind.CALL_CENTRE_95, "", "952", id="call-centre-six-digits"),
        pytest.param("95812", Kind.UNKNOWN, "", "", id="95-unassigned"),
        pytest.param("96345", Kind.SERVICE_96, "", "96", id="provincial"),
        pytest.param("4008123456", Kind.TOLL_SHARED_400, "", "400", id="400"),
        pytest.param("106901234567890", Kind.SMS_PORT_106, "", "106", id="sms-port"),
        pytest.param("12345", Kind.PUBLIC_SERVICE_12, "", "12", id="city-hotline"),
        pytest.param("110", Kind.PUBLIC_SERVICE_12, "", "110", id="police"),
        pytest.param("700123456789012", Kind.PRIVACY_700, "", "700", id="privacy-number"),
        pytest.param("10086", Kind.CARRIER_100, "china_mobile", "10086", id="10086"),
        pytest.param("10016", Kind.CARRIER_100, "", "100", id="100-other"),
    ],
)
def test_kind_of(text: str, kind: Kind, operator: str, prefix: str) -> None:
    found = kind_of(parse_caller(text))
    assert (found.kind, found.carrier, found.prefix) == (kind, operator, prefix)


@pytest.mark.parametrize(
    ("text", "private"),
    [
        pytest.param("13800138000", True, id="mobile"),
        pytest.param("17001234567", True, id="reseller"),
        pytest.param("010 6552 9988", False, id="fixed-line"),
        pytest.param("95588", False, id="service-code"),
        pytest.param("14812345678", False, id="device"),
    ],
)
def test_private_mobiles(text: str, private: bool) -> None:
    assert is_private_mobile(parse_caller(text)) is private


@pytest.mark.parametrize(
    ("text", "area", "province"),
    [
        pytest.param("010 6552 9988", "10", "BJ", id="beijing"),
        pytest.param("0571 8888 6666", "571", "ZJ", id="hangzhou"),
        pytest.param("0335 888 6666", "335", "HE", id="qinhuangdao"),
        pytest.param("13800138000", None, None, id="mobile"),
        pytest.param("010 95588", None, None, id="service-code-through-an-area"),
        pytest.param("10100000001", None, None, id="test-number"),
    ],
)
def test_province_of_fixed_lines(text: str, area: str | None, province: str | None) -> None:
    number = PhoneNumber.parse(text)
    assert (area_code(number), province_of(number)) == (area, province)


def rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((DATA / name).read_text(encoding="utf-8").splitlines()))


def test_everything_named_has_a_name() -> None:
    ranges, areas = rows("china_ranges.csv"), rows("china_areas.csv")
    assert set(KIND_NAMES) == set(Kind)
    assert {row["carrier"] for row in ranges} <= set(CARRIER_NAMES)
    assert {row["province"] for row in areas} == set(PROVINCE_NAMES)
    assert len({(row["prefix"], row["lengths"]) for row in ranges}) == len(ranges)


def test_every_source_is_explained() -> None:
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    for name in ("china_ranges.csv", "china_areas.csv"):
        for row in rows(name):
            assert all(f"`{source}`" in readme for source in row["source"].split("+")), row


# Where phonenumbers differs from the ministry's table of March 2023, which is followed: data/README.md.
DISAGREED: Final = ("1349", "154", "161", "174")


@given(st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True))
def test_carriers_agree_with_phonenumbers(national: str) -> None:
    theirs = (
        carrier.name_for_number(phonenumbers.PhoneNumber(country_code=86, national_number=int(national)), "en")
        .lower()
        .replace(" ", "_")
    )
    ours = kind_of(PhoneNumber(f"+86{national}")).carrier
    if theirs and ours and not national.startswith(DISAGREED):
        assert ours == theirs


@pytest.mark.parametrize("national", [f"{four}1234567" for four in range(1300, 2000)])
def test_all_ranges_agree_with_phonenumbers(national: str) -> None:
    """Four digits at a time: what one of the two calls a mobile, the other does not call nothing."""
    theirs = phonenumbers.PhoneNumber(country_code=86, national_number=int(national))
    ours = kind_of(PhoneNumber(f"+86{national}"))
    name = carrier.name_for_number(theirs, "en").lower().replace(" ", "_")
    if national.startswith(DISAGREED):
        return
    if name and ours != UNKNOWN:
        assert ours.carrier == name
    if phonenumbers.is_valid_number(theirs):
        assert ours.kind in (Kind.MOBILE, Kind.MVNO, Kind.SATELLITE)


@given(st.from_regex(r"(10|2[0-9]|[3-9][0-9]{2})[2-8][0-9]{6,7}", fullmatch=True))
def test_areas_agree_with_phonenumbers(national: str) -> None:
    theirs = phonenumbers.parse(f"+86{national}")
    province = province_of(PhoneNumber(f"+86{national}"))
    if province and phonenumbers.is_valid_number(theirs):
        assert geocoder.description_for_number(theirs, "en")


def test_kinds_of_values_that_never_parse() -> None:
    assert kind_of(PhoneNumber("+861440012345678")).kind is Kind.IOT  # 13 digits: devices, never callees
    assert kind_of(ServiceCode("9")) == UNKNOWN
