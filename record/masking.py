"""Which digits of a text could be a subscriber's number, and how does the text read without them?

For logs and for what people write in free text: what is masked is masked for good, so rather a digit too many
than a number in clear. It knows shapes only; whether a number exists is not asked, and nothing that it finds
is kept.
"""

from __future__ import annotations

import re
import string

# Between the digits of one number: space, dash, dot, bracket, in ASCII and full width, and invisible
# characters.
_GAP = r"[ \t_/\xa0\u3000().\uff08\uff09\uff0e\xb7\-\u2010-\u2015\u2212\uff0d\u200b-\u200f\u2060\ufeff]{0,3}"

# \d, not [0-9]: digits of every script are digits of a number. Stars are digits masked before and keep their
# places, so masking twice is masking once.
_RUN = re.compile(rf"\d(?:{_GAP}[\d*]){{6,}}")
_FEWEST = 7  # digits of a local number

_MOBILE = re.compile(
    rf"(?:(?:00)?86{_GAP})?1[3-9][0-9]{_GAP}(?:[0-9]{{4}}|\*{{4}}){_GAP}[0-9]{{4}}(?!\d)",
)

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"

# What has seven digits or more, is no number, and is needed to read a log.
_READABLE = re.compile(
    rf"""
    (?<![0-9A-Za-z]) (?:
        [0-9a-fA-F]{{8}} (?: -[0-9a-fA-F]{{4}} ){{3}} -[0-9a-fA-F]{{12}}   # UUID
      | (?=[0-9]*[a-f]) (?: [0-9a-f]{{64}} | [0-9a-f]{{40}} | [0-9a-f]{{32}} )   # digest, trace id
      | 9[1-3][0-9]{{6}}[0-9A-HJ-NPQRTUWXY]{{10}}   # unified social credit code
    ) (?![0-9A-Za-z])
    | (?<![\d.-]) (?:19|20)[0-9]{{2}} - (?:0[1-9]|1[0-2]) - (?:[0-2][0-9]|3[01])   # date
      (?: [T ][0-2][0-9]:[0-5][0-9] (?: :[0-5][0-9] (?: [.,][0-9]{{1,9}} )? )?   # time
          (?: Z | [+-][0-2][0-9]:?[0-5][0-9] )? )? (?![\d-])
    | (?<![\d.-]) {_OCTET} (?: \.{_OCTET} ){{3}} (?! [\d-] | \.\d )   # IPv4 address
    | (?<![\d.-]) [0-9]{{1,3}}\.[0-9]{{1,6}} (?! {_GAP}\d )   # 0.012345
    | 95[0-9]{{3,7}} (?! {_GAP}\d )   # service code
    """,
    re.VERBOSE,
)
_WORD = string.ascii_letters + string.digits + "-"
_LONGEST_WORD = 64

_KEY = re.compile(r"(dnc_(?:live|test)_)[A-Za-z0-9_.~+/=-]+")


def mask_numbers(text: str) -> str:
    """The text with stars for all API keys and the middle digits of what could be a subscriber's number.

    13800138000 reads 138****8000, (010) 6552 9988 reads (010) **** 9988. Public short codes, dates, UUIDs,
    digests, IP addresses and credit codes stay readable. 4 to 8 µs for an ordinary line of a log.
    """
    if "dnc_" in text:
        text = _KEY.sub(r"\1****", text)
    pieces: list[str] = []
    done = 0
    while run := _RUN.search(text, done):
        start = run.start()
        if readable := _readable_at(text, start):
            end, piece = readable.end(), text[start : readable.end()]
        elif mobile := _MOBILE.match(text, start):
            end, piece = mobile.end(), _starred(mobile[0], is_mobile=True)
        else:
            end, piece = run.end(), _starred(run[0], is_mobile=False)
        pieces += (text[done:start], piece)
        done = end
    return "".join((*pieces, text[done:])) if pieces else text


def _readable_at(text: str, start: int) -> re.Match[str] | None:
    """A readable item that holds the digit at `start`: it starts there, or where that digit's word starts."""
    before = text[max(0, start - _LONGEST_WORD) : start]
    word = start - len(before) + len(before.rstrip(_WORD))
    found = _READABLE.match(text, word)
    if found and found.end() > start:
        return found
    return _READABLE.match(text, start) if word != start else None


def _starred(number: str, *, is_mobile: bool) -> str:
    """Stars for all digits but the last four and those before the last eight.

    Of an unknown run only three are left in front: it may hold two numbers. A mobile keeps its country code.
    """
    places = [at for at, character in enumerate(number) if character.isdecimal() or character == "*"]
    if sum(number[at] != "*" for at in places) < _FEWEST:
        return number
    keep = max(0, len(places) - 8)
    characters = list(number)
    for at in places[keep if is_mobile else min(keep, 3) : -4]:
        characters[at] = "*"
    return "".join(characters)
