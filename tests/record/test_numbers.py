"""What counts as a number, in the spellings that people and files really have."""

from __future__ import annotations

import pickle

import phonenumbers
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from record.numbers import REFUSALS, NumberRefused, PhoneNumber, ServiceCode, parse_caller

MOBILE = "+8613800138000"
BEIJING = "+861065529988"


@pytest.mark.parametrize(
    ("text", "e164"),
    [
        pytest.param("13800138000", MOBILE, id="plain"),
        pytest.param("138 0013 8000", MOBILE, id="spaces"),
        pytest.param("138-0013-8000", MOBILE, id="dashes"),
        pytest.param("138.0013.8000", MOBILE, id="dots"),
        pytest.param("1 3 8 0 0 1 3 8 0 0 0", MOBILE, id="each-digit-apart"),
        pytest.param("+8613800138000", MOBILE, id="e164"),
        pytest.param("+86-138-0013-8000", MOBILE, id="e164-dashes"),
        pytest.param("(+86) 138 0013 8000", MOBILE, id="country-code-in-brackets"),
        pytest.param("008613800138000", MOBILE, id="international-prefix"),
        pytest.param("8613800138000", MOBILE, id="country-code-without-plus"),
        pytest.param("013800138000", MOBILE, id="trunk-zero"),
        pytest.param("+86 0138 0013 8000", MOBILE, id="trunk-zero-after-country-code"),
        pytest.param("tel:+86-138-0013-8000", MOBILE, id="tel-uri"),
        pytest.param("１３８００１３８０００", MOBILE, id="full-width"),
        pytest.param("＋８６－１３８－００１３－８０００", MOBILE, id="full-width-signs"),
        pytest.param("١٣٨٠٠١٣٨٠٠٠", MOBILE, id="arabic-indic"),
        pytest.param("१३८००१३८०००", MOBILE, id="devanagari"),
        pytest.param("\ufeff13800138000", MOBILE, id="byte-order-mark"),
        pytest.param("138\u00a00013\u00a08000", MOBILE, id="no-break-spaces"),
        pytest.param("138\u200b0013\u200b8000", MOBILE, id="zero-width-spaces"),
        pytest.param("\u202d13800138000\u202c", MOBILE, id="direction-marks-of-a-contact-card"),
        pytest.param("\t13800138000\r\n", MOBILE, id="tab-and-line-end"),
        pytest.param("138–0013—8000", MOBILE, id="long-dashes"),
        pytest.param("'13800138000", MOBILE, id="apostrophe-of-a-spreadsheet"),
        pytest.param('="13800138000"', MOBILE, id="formula-of-a-spreadsheet"),
        pytest.param("13800138000.0", MOBILE, id="cell-read-as-float"),
        pytest.param("1795113800138000", MOBILE, id="carrier-selection-17951"),
        pytest.param("12593 138 0013 8000", MOBILE, id="carrier-selection-12593"),
        pytest.param("010 6552 9988", BEIJING, id="fixed-line"),
        pytest.param("(010) 6552 9988", BEIJING, id="area-code-in-brackets"),
        pytest.param("+86 (0)10 6552 9988", BEIJING, id="zero-in-brackets"),
        pytest.param("861065529988", BEIJING, id="fixed-line-country-code-without-plus"),
        pytest.param("861095588", "+861095588", id="short-line-country-code-without-plus"),
        pytest.param("1065529988.0", BEIJING, id="fixed-line-read-as-float"),
        pytest.param("17951 010 6552 9988", BEIJING, id="carrier-selection-before-area-code"),
        pytest.param("0571-8888 6666", "+8657188886666", id="three-digit-area"),
        pytest.param("0898 888 6666", "+868988886666", id="seven-digit-local"),
        pytest.param("010 95588", "+861095588", id="service-code-through-an-area"),
        pytest.param("10100000001", "+8610100000001", id="test-number"),
        pytest.param("+8610100000099", "+8610100000099", id="test-number-e164"),
        pytest.param("17951138001", "+8617951138001", id="mobile-that-starts-like-a-carrier-code"),
        pytest.param("15400000000", "+8615400000000", id="unallocated-mobile"),
    ],
)
def test_reads(text: str, e164: str) -> None:
    assert PhoneNumber.parse(text).e164 == e164


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("", "empty", id="nothing"),
        pytest.param(" \u200b\ufeff\t", "empty", id="invisible"),
        pytest.param("'", "empty", id="only-an-apostrophe"),
        pytest.param("N/A", "not_a_number", id="words"),
        pytest.param("1800FLOWERS", "not_a_number", id="letters-for-digits"),
        pytest.param("13800138000,13900139000", "not_a_number", id="two-numbers"),
        pytest.param("13800138000/13900139000", "not_a_number", id="two-numbers-slash"),
        pytest.param("13800138000;13900139000", "not_a_number", id="two-numbers-semicolon"),
        pytest.param("①13800138000", "not_a_number", id="circled-list-mark"),
        pytest.param("13800138000²", "not_a_number", id="footnote"),
        pytest.param("138****8000", "not_a_number", id="masked"),
        pytest.param("+013800138000", "not_a_number", id="no-such-country"),
        pytest.param("-", "not_a_number", id="dash"),
        pytest.param("1" * 5000, "not_a_number", id="endless"),
        pytest.param("1380013800", "length", id="mobile-a-digit-short"),
        pytest.param("138001380000", "length", id="mobile-a-digit-long"),
        pytest.param("+86138001380000", "length", id="mobile-a-digit-long-e164"),
        pytest.param("13800138000 13900139000", "length", id="two-numbers-space"),
        pytest.param("021 6552 9988 12", "length", id="extension-after-a-space"),
        pytest.param("12593 138 0013", "length", id="carrier-code-and-part-of-a-number"),
        pytest.param("12593 138 0013 80", "length", id="carrier-code-and-most-of-a-number"),
        pytest.param("86138001380", "length", id="part-of-a-mobile-after-86"),
        pytest.param("95588", "length", id="service-code"),
        pytest.param("1440012345678", "length", id="thirteen-digit-device"),
        pytest.param("0", "length", id="zero"),
        pytest.param("+852 9123 4567", "foreign", id="hong-kong"),
        pytest.param("00853 6612 3456", "foreign", id="macau"),
        pytest.param("+886 912 345 678", "foreign", id="taiwan"),
        pytest.param("+1 202 555 0123", "foreign", id="north-america"),
        pytest.param("+13800138000", "foreign", id="plus-but-no-country-code"),
        pytest.param("1.38001E+10", "excel_rounded", id="rounded"),
        pytest.param("1,38E+10", "excel_rounded", id="rounded-decimal-comma"),
        pytest.param("8.6138e12", "excel_rounded", id="rounded-small-e"),
        pytest.param("1E+10", "excel_rounded", id="rounded-to-one-digit"),
        pytest.param("65529988", "no_area_code", id="local"),
        pytest.param("8655 2998", "no_area_code", id="local-that-starts-with-86"),
        pytest.param("655-2998", "no_area_code", id="local-of-seven"),
        pytest.param("+8665529988", "no_area_code", id="local-after-country-code"),
        pytest.param("010 65529988 转 123", "extension", id="extension-zhuan"),
        pytest.param("010 65529988 分机123", "extension", id="extension-fenji"),
        pytest.param("010-65529988 ext. 123", "extension", id="extension-ext"),
        pytest.param("tel:+861065529988;ext=123", "extension", id="extension-tel-uri"),
        pytest.param("01065529988x123", "extension", id="extension-x"),
        pytest.param("01065529988#123", "extension", id="extension-hash"),
    ],
)
def test_refuses(text: str, code: str) -> None:
    with pytest.raises(NumberRefused) as refused:
        PhoneNumber.parse(text)
    assert refused.value.code == code
    assert refused.value.detail is REFUSALS[code]
    assert refused.value.args == (code,)  # nothing of the text is kept
    assert refused.value.__cause__ is None


def test_each_refusal_is_seen_above() -> None:
    seen = {mark.values[1] for mark in test_refuses.pytestmark[0].args[1]}  # type: ignore[attr-defined]
    assert seen == set(REFUSALS)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        pytest.param("95588", "95588", id="bank"),
        pytest.param("+86 95588", "95588", id="bank-e164"),
        pytest.param("950131234", "950131234", id="call-centre"),
        pytest.param("96345", "96345", id="provincial"),
        pytest.param("400-812-3456", "4008123456", id="shared-cost"),
        pytest.param("+864008123456", "4008123456", id="shared-cost-e164"),
        pytest.param("0400 812 3456", "4008123456", id="shared-cost-after-a-zero"),
        pytest.param("095588", "95588", id="bank-after-a-zero"),
        pytest.param("10105757", "10105757", id="shared-cost-1010"),
        pytest.param("106901234567890", "106901234567890", id="sms-port"),
        pytest.param("8610690123456789", "10690123456789", id="sms-port-with-country-code"),
        pytest.param("1064812345678", "1064812345678", id="machine-number"),
        pytest.param("10086", "10086", id="carrier"),
        pytest.param("1008611", "1008611", id="carrier-long"),
        pytest.param("12345", "12345", id="city-hotline"),
        pytest.param("110", "110", id="police"),
        pytest.param("700123456789012", "700123456789012", id="privacy-number"),
        pytest.param("1065529988", "1065529988", id="bare-106-is-an-sms-port"),
        pytest.param("010 6552 9988", BEIJING, id="beijing-with-zero"),
        pytest.param("+86 10 6552 9988", BEIJING, id="beijing-e164"),
        pytest.param("0955 881 2345", "+869558812345", id="zhongwei-line"),
        pytest.param("021 6552 9988", "+862165529988", id="fixed-line"),
        pytest.param("17012345678", "+8617012345678", id="mobile"),
        pytest.param("10100000001", "+8610100000001", id="test-number"),
    ],
)
def test_reads_callers(text: str, stored: str) -> None:
    caller = parse_caller(text)
    assert caller.text == stored
    assert parse_caller(stored) == caller
    assert isinstance(caller, PhoneNumber) == stored.startswith("+")


def test_service_codes_are_shown_in_clear() -> None:
    assert str(ServiceCode("95588")) == "95588"


@pytest.mark.parametrize("last", range(100))
def test_test_numbers_go_through_unchanged(last: int) -> None:
    assert PhoneNumber.parse(f"101000000{last:02}").e164 == f"+86101000000{last:02}"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        pytest.param("13800138000", "+86138****8000", id="mobile"),
        pytest.param("010 6552 9988", "+8610****9988", id="beijing"),
        pytest.param("0571 8888 6666", "+86571****6666", id="three-digit-area"),
        pytest.param("0898 888 6666", "+8689****6666", id="seven-digit-local"),
        pytest.param("010 95588", "+86****5588", id="service-code-through-an-area"),
    ],
)
def test_is_masked_wherever_it_is_printed(text: str, masked: str) -> None:
    number = PhoneNumber.parse(text)
    assert {number.masked, str(number), f"{number}"} == {masked}
    assert repr(number) == f"PhoneNumber({masked})"


def test_is_a_value() -> None:
    first, second = PhoneNumber.parse("13800138000"), PhoneNumber.parse("13800138001")
    assert first < second
    assert len({first, PhoneNumber.parse("+86 138 0013 8000")}) == 1
    assert pickle.loads(pickle.dumps(first)) == first
    assert not hasattr(first, "__dict__")
    with pytest.raises(AttributeError):
        first.e164 = "+8613800138001"  # type: ignore[misc]


# Text of the characters that numbers are spelled with reaches far deeper than text of all characters.
SPELLINGS = st.text(st.sampled_from("0123456789+-. ()86'=\u00a0\u200b\ufeff１٣²Eetxl:#转/,")) | st.text()


@given(SPELLINGS)
@example("0" * 30)
@example("ﷺ" * 64)
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (PhoneNumber.parse, parse_caller):
        try:
            number = parse(text)
        except NumberRefused:
            continue
        assert number.text.removeprefix("+").isascii()
        assert number.text.removeprefix("+").isdecimal()


@given(SPELLINGS | st.from_regex(r"\+?[0-9]{5,18}", fullmatch=True))
def test_reading_again_changes_nothing(text: str) -> None:
    try:
        number = PhoneNumber.parse(text)
    except NumberRefused:
        return
    assert PhoneNumber.parse(number.e164) == number
    assert len(number.e164) <= 16
    assert phonenumbers.is_possible_number(phonenumbers.parse(number.e164))


@given(SPELLINGS | st.from_regex(r"(\+86|0)?(95|96|400|10|106|12|700|)[0-9]{1,17}", fullmatch=True))
def test_a_caller_has_one_text(text: str) -> None:
    try:
        caller = parse_caller(text)
    except NumberRefused:
        return
    assert parse_caller(caller.text) == caller


@given(st.from_regex(r"(1[3-9][0-9]|10[2-9]|2[0-9][2-8]|[3-9][0-9]{2}[2-8]?)[0-9]{7,8}", fullmatch=True))
def test_what_phonenumbers_knows_is_read_as_phonenumbers_reads_it(national: str) -> None:
    theirs = phonenumbers.parse(national, "CN")
    assume(phonenumbers.is_valid_number(theirs) and str(theirs.national_number) == national)
    e164 = phonenumbers.format_number(theirs, phonenumbers.PhoneNumberFormat.E164)
    for text in (national, f"0{national}", f"+86 {national}", f"0086{national}"):
        assert PhoneNumber.parse(text).e164 == e164


WELL_FORMED = ["{a}{b}{c}", "+86{a}{b}{c}", "86{a}{b}{c}", "0086{a}{b}{c}", "{a}-{b}-{c}", "+86-{a}-{b}-{c}"]
SPACED = ["{a} {b} {c}", "+86 {a} {b} {c}", "0086 {a} {b} {c}", " {a}{b}{c}", "{a}.{b}.{c}", "0{a} {b}{c}"]


@given(st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True), st.sampled_from(WELL_FORMED + SPACED))
def test_the_fast_path_and_phonenumbers_agree(mobile: str, spelling: str) -> None:
    text = spelling.format(a=mobile[:3], b=mobile[3:7], c=mobile[7:])
    theirs = phonenumbers.format_number(phonenumbers.parse(text, "CN"), phonenumbers.PhoneNumberFormat.E164)
    assert PhoneNumber.parse(text).e164 == theirs == f"+86{mobile}"
