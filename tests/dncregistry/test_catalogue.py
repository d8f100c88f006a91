"""Everything that the program says can be said in Chinese: nothing is missing, doubtful or out of date."""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from django.conf import settings
from django.test import Client

MAKE = (
    "Run `.venv/bin/python manage.py makemessages -l zh_Hans --ignore '.venv/*' --ignore 'tests/*' --ignore 'var/*' "
    "--add-location file --no-obsolete`, translate what is empty or fuzzy, then run "
    "`.venv/bin/python manage.py compilemessages --ignore .venv` (Debian: apt install gettext)."
)
PO = Path(settings.LOCALE_PATHS[0]) / "zh_Hans" / "LC_MESSAGES" / "django.po"
ROOMS = ("dncregistry", "record", "telemarketers", "consents", "complaints", "desk")
GETTEXT = {"gettext", "gettext_lazy", "gettext_noop"}


class Entry(NamedTuple):
    msgid: str
    msgstr: str
    is_fuzzy: bool


def read_po(text: str) -> Iterator[Entry]:
    """The entries of a catalogue without plurals and contexts, its header left out."""
    for block in text.split("\n\n"):
        words: dict[str, str] = {"msgid": "", "msgstr": ""}
        word = ""
        for line in block.splitlines():
            if found := re.fullmatch(r'(?:(msgid|msgstr) )?(".*")', line):
                word = found[1] or word
                words[word] += ast.literal_eval(found[2])
        if words["msgid"]:
            is_fuzzy = bool(re.search(r"^#,.*\bfuzzy\b", block, re.MULTILINE))
            yield Entry(words["msgid"], words["msgstr"], is_fuzzy)


def said_in(source: str) -> Iterator[str]:
    """The messages that a module passes to gettext. Fails on one that is put together at run time."""
    tree = ast.parse(source)
    names = {
        name.asname or name.name: name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation"
        for name in node.names
    }
    assert not {"ngettext", "ngettext_lazy", "pgettext", "pgettext_lazy"} & set(names.values()), (
        "Plurals and contexts have come into use: teach them to this test."
    )
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and names.get(node.func.id) in GETTEXT:
            message = node.args[0]
            assert isinstance(message, ast.Constant), f"line {node.lineno}: no catalogue can hold a computed message"
            assert isinstance(message.value, str)
            yield message.value


def code() -> list[Path]:
    return [path for room in ROOMS for path in sorted((settings.BASE_DIR / room).rglob("*.py"))]


CATALOGUE = {entry.msgid: entry for entry in read_po(PO.read_text(encoding="utf-8"))}


def test_the_readers_find_what_is_there():
    po = '#, fuzzy\nmsgid ""\n"One "\n"two"\nmsgstr "一二"\n\nmsgid "a\\"b"\nmsgstr ""\n'
    assert list(read_po(po)) == [Entry("One two", "一二", True), Entry('a"b', "", False)]
    module = 'from django.utils.translation import gettext_lazy as _\nX = _("One " "two")\nY = other("three")\n'
    assert list(said_in(module)) == ["One two"]


@pytest.mark.parametrize("path", code(), ids=lambda path: str(path.relative_to(settings.BASE_DIR)))
def test_every_message_of_the_code_is_translated(path):
    said = set(said_in(path.read_text(encoding="utf-8")))
    missing = sorted(message for message in said if message not in CATALOGUE or not CATALOGUE[message].msgstr)
    assert not missing, MAKE


def test_no_translation_is_empty_or_doubtful():
    assert len(CATALOGUE) > 100
    assert not [entry.msgid for entry in CATALOGUE.values() if entry.is_fuzzy or not entry.msgstr], MAKE


def test_a_translation_keeps_what_is_filled_in():
    fields = re.compile(r"\{\w*\}")
    assert not [
        entry.msgid
        for entry in CATALOGUE.values()
        if sorted(fields.findall(entry.msgid)) != sorted(fields.findall(entry.msgstr))
    ]


def test_the_compiled_catalogue_is_of_these_translations():
    with PO.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    assert not [entry.msgid for entry in CATALOGUE.values() if compiled.gettext(entry.msgid) != entry.msgstr], MAKE


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("language", "detail"),
    [
        ("zh-CN", "请用“Authorization: Bearer dnc_live_…”请求头发送密钥。"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "请用“Authorization: Bearer dnc_live_…”请求头发送密钥。"),
        ("en", "Send your key as “Authorization: Bearer dnc_live_…”."),
        ("en-US,en;q=0.9,zh;q=0.5", "Send your key as “Authorization: Bearer dnc_live_…”."),
        (None, "请用“Authorization: Bearer dnc_live_…”请求头发送密钥。"),
        ("fr", "请用“Authorization: Bearer dnc_live_…”请求头发送密钥。"),
    ],
)
def test_the_api_says_what_is_wrong_in_the_language_asked_for(client: Client, language, detail):
    answer = client.post("/api/v1/checks", headers={"accept-language": language} if language else {})
    assert answer.status_code == 401
    assert answer.json()["detail"] == detail
    assert answer.headers["content-language"] == ("en" if detail.isascii() or detail.startswith("Send") else "zh-hans")


@pytest.mark.parametrize(("language", "detail"), [("zh-CN", "该字段是必填项。"), ("en", "This field is required.")])
def test_the_framework_speaks_the_same_language(client: Client, w, language, detail):
    answer = client.post(
        "/api/v1/checks",
        {"caller": "010 6552 9988", "purpose": "loan_finance", "channel": "voice"},
        content_type="application/json",
        headers={"accept-language": language, "authorization": f"Bearer {w.key}"},
    )
    assert (answer.status_code, answer.json()["detail"]) == (422, detail)
