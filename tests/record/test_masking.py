"""No spelling of a number survives, and a log can still be read."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from record.masking import mask_numbers


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        pytest.param("13800138000", "138****8000", id="plain"),
        pytest.param("+8613800138000", "+86138****8000", id="e164"),
        pytest.param("0086 138 0013 8000", "0086 138 **** 8000", id="international-prefix"),
        pytest.param("138-0013-8000", "138-****-8000", id="dashes"),
        pytest.param("138.0013.8000", "138.****.8000", id="dots"),
        pytest.param("(010) 6552 9988", "(010) **** 9988", id="fixed-line"),
        pytest.param("１３８００１３８０００", "１３８****８０００", id="full-width"),
        pytest.param("/x?to=%2B8613800138000&a=1", "/x?to=%2B86138****8000&a=1", id="url-encoded-plus"),
        pytest.param("电话13800138000，谢谢", "电话138****8000，谢谢", id="in-a-sentence"),
        pytest.param("a13800138000z", "a138****8000z", id="between-letters"),
        pytest.param("6552998", "***2998", id="seven-digits"),
        pytest.param("13800138000 13900139000", "138****8000 139****9000", id="two-numbers"),
        pytest.param("110101199003078515", "110***********8515", id="identity-card"),
        pytest.param("2026-01-02 13800138000", "2026-01-02 138****8000", id="after-a-date"),
        pytest.param("13800138000 2026-01-02", "138****8000 2026-01-02", id="before-a-date"),
        pytest.param("2026-01-02T03:04:05.13800138000", "2026-01-02T03:04:05.138****8000", id="after-a-time"),
        pytest.param("955-881-2345", "95*-***-2345", id="not-quite-a-service-code"),
        pytest.param("1.3.8.0.0.1.3.8.0.0.0", "1.3.8.*.*.*.*.8.0.0.0", id="not-quite-an-address"),
        pytest.param("**13800138000**", "**138****8000**", id="between-stars"),
        pytest.param("138****8000 95588 12", "138****8000 ***88 12", id="after-a-masked-number"),
        pytest.param("key dnc_live_Zk3-x_9 used", "key dnc_live_**** used", id="live-key"),
        pytest.param("dnc_test_13800138000", "dnc_test_****", id="test-key"),
    ],
)
def test_masks(text: str, masked: str) -> None:
    assert mask_numbers(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("no digits at all", id="words"),
        pytest.param("called from 95588 at 10:30", id="service-code"),
        pytest.param("caller=950131234", id="long-service-code"),
        pytest.param("2026-01-02T03:04:05.123456Z started", id="timestamp"),
        pytest.param("2026-01-02 03:04:05,123+08:00 started", id="timestamp-with-zone"),
        pytest.param("on 2026-01-02, 12 rows", id="date"),
        pytest.param("request_id=0198c2f4-7a3b-7c1e-9b1a-2f3d4c5b6a79", id="uuid"),
        pytest.param("id=12345678-1234-4234-8234-123456789012", id="uuid-of-digits"),
        pytest.param("sha=" + "1234567890abcdef" * 4, id="digest"),
        pytest.param("firm 91110108MA01ABCD2X", id="credit-code"),
        pytest.param("firm 911101085923662400", id="credit-code-of-digits"),
        pytest.param("ip=192.168.100.254 took 0.012345 s", id="address-and-duration"),
        pytest.param("status 200, 1234 bytes, row 123456", id="small-numbers"),
        pytest.param("138****8000", id="masked-already"),
        pytest.param("+86138****8000 and **95588** or 0 9 * * * 1", id="stars"),
    ],
)
def test_leaves_readable(text: str) -> None:
    assert mask_numbers(text) == text


FULL_WIDTH = {ord(digit): chr(ord(digit) + 0xFEE0) for digit in "0123456789"}
NUMBERS = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
SPELLINGS = [
    "{0}{1}{2}",
    "+86{0}{1}{2}",
    "0086 {0} {1} {2}",
    "{0}-{1}-{2}",
    "{0}.{1}.{2}",
    "%2B86{0}{1}{2}",
    "+86 ({0}) {1} {2}",
    "full width",
]


def spelled(number: str, spelling: str) -> str:
    if spelling == "full width":
        return number.translate(FULL_WIDTH)
    return spelling.format(number[:3], number[3:7], number[7:])


def digits_of(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", text) if c.isdecimal())


AROUND = st.text(st.characters(exclude_categories=["Nd"])) | st.text(st.sampled_from(" *.-:/=(T5"), max_size=8)


@given(NUMBERS, st.sampled_from(SPELLINGS), AROUND, AROUND)
def test_no_spelling_survives(number: str, spelling: str, before: str, after: str) -> None:
    masked = mask_numbers(before + spelled(number, spelling) + after)
    assert number not in digits_of(masked)


@given(
    st.from_regex(r"0[1-9][0-9]{1,2}[2-8][0-9]{7}", fullmatch=True),
    st.sampled_from(["{} ", "({}) ", "{}-", "{}"]),
)
def test_no_fixed_line_survives(number: str, area: str) -> None:
    text = area.format(number[:-8]) + number[-8:-4] + " " + number[-4:]
    assert number not in digits_of(mask_numbers(f"tel {text}, please"))


PIECES = st.sampled_from(
    ["13800138000", "95588", "2026-01-02", " ", "-", ".", "T", "0.5", "dnc_live_a", "1", "010", "("]
)


@given(st.lists(PIECES).map("".join) | st.text(st.sampled_from("0123456789 .-*()ab18")) | st.text())
def test_masking_twice_is_masking_once(text: str) -> None:
    once = mask_numbers(text)
    assert mask_numbers(once) == once
    assert len(once) == len(text) or "dnc_" in text
