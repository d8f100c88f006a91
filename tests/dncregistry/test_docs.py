"""What docs/ says is so: its tables are compared with the code, its examples are run."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.test import Client, override_settings

from consents import imports, receipts, testmode
from consents.api.checks import MOST_CALLEES
from consents.terms import ALLOWED, Reason
from dncregistry import health
from dncregistry.errors import Refused
from record import clock, ledger
from record.ledger import OPERATOR
from record.models import Event
from record.numbers import REFUSALS
from telemarketers import policy as policies
from telemarketers import shipped
from telemarketers.actions import firms
from telemarketers.models import CallingNumber, Credential, Matter
from telemarketers.terms import ALL_CHANNELS, Mode, Scope
from tests import world
from tests.world import World

ROOT = Path(settings.BASE_DIR)
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "README.md"]
ROOMS = ("dncregistry", "record", "telemarketers", "consents", "complaints", "desk")


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def section(name: str, heading: str) -> str:
    """The part of a page under one heading, up to the next of the same rank or above."""
    rank = len(heading) - len(heading.lstrip("#"))
    _before, found, rest = page(name).partition(f"\n{heading}\n")
    assert found, f"{name} has no heading {heading!r}"
    return re.split(rf"^#{{1,{rank}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The body rows of the tables in a text, without the backticks around a cell."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    heads = {index - 1 for index, row in enumerate(cells) if set("".join(row)) <= set("-:")}
    return [
        [cell.strip("`") if cell.count("`") == 2 else cell for cell in row]
        for index, row in enumerate(cells)
        if index not in heads and index - 1 not in heads
    ]


def example(name: str, label: str) -> str:
    """The code block that stands under `<!-- test: label -->`."""
    found = re.search(rf"<!-- test: {label} -->\n```\w+\n(.*?)```", page(name), re.DOTALL)
    assert found, f"{name} has no example {label!r}"
    return found[1]


def code() -> Iterator[Path]:
    yield ROOT / "manage.py"
    for room in ROOMS:
        yield from sorted((ROOT / room).rglob("*.py"))


# --- layout ------------------------------------------------------------------------------------------


def test_every_module_has_its_line_and_every_line_its_file():
    listed = {cells[0] for cells in rows(page("layout.md"))}
    modules = {
        str(path.relative_to(ROOT)) for path in code() if "migrations" not in path.parts and path.stat().st_size > 0
    }
    assert modules - listed == set(), "docs/layout.md has no line for these"
    assert {name for name in listed if not (ROOT / name).exists()} - {"var/"} == set(), "docs/layout.md names no file"


def test_every_room_of_the_code_is_among_those_looked_at():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages == set(ROOMS)


# --- pages -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("http"):
            continue
        name, _hash, anchor = target.partition("#")
        to = (path.parent / name).resolve() if name else path
        assert to.exists(), target
        if anchor:
            assert anchor in anchors(to), target


def anchors(path: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def commands_in(text: str) -> Iterator[str]:
    """Lines of code that call manage.py, cut at what the shell takes for itself."""
    blocks = re.findall(r"```(?:sh|bash)\n(.*?)```", text, re.DOTALL)
    indented = re.findall(r"^ {4}(.+)$", text, re.MULTILINE)
    for line in "\n".join((*blocks, *indented)).splitlines():
        for call in re.findall(r"\.venv/bin/python manage\.py ([^|<>#)&]+)", line):
            yield call.strip()


CALLS = sorted({call for path in PAGES for call in commands_in(path.read_text(encoding="utf-8"))})


@pytest.mark.parametrize("call", CALLS)
def test_commands_are_called_as_they_want_to_be(call):
    name, *arguments = shlex.split(call)
    if name == "shell":
        return
    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
    parser.parse_args(arguments)


def test_there_are_commands_to_try():
    assert len(CALLS) > 15


def test_every_command_of_ours_is_described():
    ours = {name for name, app in get_commands().items() if app in ROOMS}
    described = set(re.findall(r"^### `(\w+)`", section("operations.md", "## Commands"), re.MULTILINE))
    assert described == ours


def test_decisions_are_numbered_and_say_three_things():
    paths = sorted((DOCS / "decisions").glob("*.md"))
    assert [int(path.name[:4]) for path in paths] == list(range(1, len(paths) + 1))
    for path in paths:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]}. "), path
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"], path
        assert len(text.splitlines()) <= 40, path
        where = re.search(r"^Where: (.+)$", text, re.MULTILINE)
        assert where, path
        assert all((ROOT / name).exists() for name in re.findall(r"`(\w+/[\w/.]+)`", where[1])), path
        for tests in re.findall(r"pytest (tests/\S+?)[ `]", text):
            assert (ROOT / tests).exists(), (path, tests)


def test_every_reason_of_an_import_is_described():
    described = [cells[0] for cells in rows(section("operations.md", "### `import_registrations`"))]
    assert re.findall(r"\w+", " ".join(described)) == [*imports.REASONS]


# --- the API: vocabulary ------------------------------------------------------------------------------


def test_reasons_stand_in_the_order_of_the_ruling():
    listed = [(cells[1], cells[2]) for cells in rows(section("api.md", "## Reasons"))]
    assert listed == [("allow" if reason in ALLOWED else "block", reason.value) for reason in Reason]


def test_test_numbers_are_those_of_the_code():
    *numbers, cannot_rule = rows(section("api.md", "## Test numbers"))
    assert [(number, verdict, reason) for number, verdict, reason in numbers] == [
        (number.national, "allow" if reason in ALLOWED else "block", reason.value)
        for number, reason in testmode.NUMBERS.items()
    ]
    assert cannot_rule[0] == testmode.CANNOT_RULE.national


def test_details_are_those_of_the_code():
    listed = {(cells[0], cells[1]) for cells in rows(section("api.md", "## Details"))}
    of_numbers = {("invalid_number", code) for code in REFUSALS}
    decision = (ROOT / "consents" / "decision.py").read_text(encoding="utf-8")
    of_rulings = {
        (Reason[reason].value, detail)
        for reason, details in re.findall(r"block\(Reason\.(\w+), (\".+)\)$", decision, re.MULTILINE)
        for detail in re.findall(r'"(\w+)"', details)
    }
    assert of_rulings
    assert listed == of_numbers | of_rulings


def test_purposes_and_channels_are_those_shipped():
    table = rows(section("api.md", "## Purposes and channels"))
    stances = shipped.policy("china")["stances"]
    assert [cells for cells in table if len(cells) == 4] == [
        [purpose["code"], purpose["kind"], stances.get(purpose["code"], ""), purpose["name_zh"]]
        for purpose in shipped.purposes()
    ]
    assert [cells[0] for cells in table if len(cells) == 2] == [channel.label for channel in ALL_CHANNELS]


def test_rate_limits_are_the_defaults():
    listed = {cells[0]: int(cells[2]) for cells in rows(section("api.md", "## Rate limits"))}
    assert listed == settings.RATE_LIMITS


# --- the API: answers ---------------------------------------------------------------------------------


def post(client: Client, path: str, body: object, key: str, **headers: str):
    return client.post(
        path, body, content_type="application/json", headers={"authorization": f"Bearer {key}", **headers}
    )


TERMS = {"caller": "010 6552 9988", "purpose": "loan_finance", "channel": "voice"}


@pytest.fixture
def keys(w) -> dict[str, str]:
    world.matter(w.loans, "login-code", "verification", world.START)
    return {"LIVE": w.key, "TEST": world.issue(w.loans, world.START, Mode.TEST)[1]}


def test_the_curl_lines_are_answered(client, keys):
    asked = re.findall(
        r"http://127\.0\.0\.1:8000(/api/v1/\S+) \\\n  -H \"Authorization: Bearer \$(LIVE|TEST)\".*\n  -d '(.+)'",
        page("api.md"),
    )
    assert len(asked) >= 11
    for path, key, pasted in asked:
        body = pasted.replace("'$(date -u +%FT%TZ)'", clock.iso(clock.now()))
        answer = post(client, path, json.loads(body), keys[key])
        assert answer.status_code in ({503} if "10100000099" in body else {200, 201}), body


def test_the_curl_lines_that_read_are_answered(client, keys):
    asked = re.findall(
        r"^curl -s \"http://127\.0\.0\.1:8000(/api/v1/\S+)\" -H \"Authorization: Bearer \$(LIVE|TEST)\"$",
        page("api.md"),
        re.MULTILINE,
    )
    assert len(asked) >= 3
    for path, key in asked:
        assert client.get(path, headers={"authorization": f"Bearer {keys[key]}"}).status_code == 200, path


def test_the_first_check_is_answered_as_printed(client, keys):
    printed = json.loads(re.findall(r"```json\n(.*?)```", section("api.md", "## First check"), re.DOTALL)[0])
    answer = post(client, "/api/v1/checks", {**TERMS, "callee": "10100000015"}, keys["TEST"]).json()
    changes = {"id", "checked_at", "valid_until", "receipt"}
    assert list(answer) == list(printed)
    assert {name: answer[name] for name in answer if name not in changes} == {
        name: printed[name] for name in printed if name not in changes
    }


def test_fields_of_questions_and_answers_are_listed(client, keys):
    from_api = import_module("consents.api.checks")
    asked, told = re.split(r"^The answer ", section("api.md", "## `POST /api/v1/checks`"), flags=re.MULTILINE)
    assert {cells[0] for cells in rows(asked)} == set(from_api.CheckRequest().fields)
    invalid = post(client, "/api/v1/checks", {**TERMS, "callee": "138"}, keys["LIVE"]).json()
    assert [cells[0] for cells in rows(told)] == list(invalid)
    batch = post(client, "/api/v1/checks/batch", {**TERMS, "callees": ["138"]}, keys["LIVE"]).json()
    listed = [cells[0] for cells in rows(section("api.md", "## `POST /api/v1/checks/batch`"))]
    assert listed == [*batch, *batch["results"][0]]


def test_fields_of_a_caller_are_listed(client, w):
    found = client.get("/api/v1/callers/01065529988").json()
    assert [cells[0] for cells in rows(section("api.md", "## `GET /api/v1/callers/{number}`"))] == list(found)


def test_fields_of_the_other_doors_are_listed(client, keys):
    def sent(path: str, body: dict[str, str], key: str = "LIVE") -> list[str]:
        return list(post(client, f"/api/v1/{path}", body, keys[key]).json())

    def listed(heading: str, columns: int = 2) -> list[str]:
        return [cells[0] for cells in rows(section("api.md", heading)) if len(cells) == columns]

    said = {"number": "10100000015", "said_at": clock.iso(clock.now())}
    refusals = "## `POST /api/v1/refusals`"
    assert listed(refusals) == sent("refusals", said)
    assert listed(refusals, 3) == list(import_module("consents.api.refusals").RefusalRequest().fields)
    confirmed = sent("receipts/confirm", {"jti": "0" * 32, "number": "10100000015"}, "TEST")
    assert listed("### `POST /api/v1/receipts/confirm`") == confirmed
    search = "## `POST /api/v1/authorizations/search`"
    found = post(client, "/api/v1/authorizations/search", {}, keys["TEST"]).json()
    assert listed(search) == list(found["results"][0])
    assert set(listed(search, 3)) == set(import_module("consents.api.authorizations").SearchRequest().fields)
    assert listed("## `/api/v1/calling-numbers`") == sent("calling-numbers", {"number": "010 6552 9966"})
    matter = {"code": "x", "purpose": "retail", "title": "x", "wording": "x"}
    assert listed("## `/api/v1/matters`") == sent("matters", matter)
    assert listed("## `/api/v1/mandates`") == sent("mandates", {"client": "91310000MA1FL0001R"})


def test_scopes_are_those_of_the_code():
    text = section("api.md", "## Keys and modes")
    assert [cells[0] for cells in rows(text) if cells[0] in Scope.values] == list(Scope.values)


# --- the API: errors ----------------------------------------------------------------------------------


@pytest.fixture
def elicited(client, keys, w) -> set[tuple[int, str]]:
    """(status, code) of what a client can get wrong, the codes of single fields included."""
    at = world.START
    scoped = world.issue(w.loans, at, scopes=["batch"])[1]
    good = {**TERMS, "callee": "13800138000"}
    far = "2099-01-01T00:00:00Z"
    bodies = [
        {**good, "callees": 1},
        {**good, "purpose": None},
        {**good, "purpose": "x"},
        {**good, "purpose": None, "matter": "x"},
        {**good, "purpose": ""},
        {**good, "channel": "fax"},
        {**good, "callee": None},
        {**good, "callee": "1" * 65},
        {**good, "callee": "1\0"},
        {**good, "callee": "1\n2"},
        {**good, "callee": [], "channel": 1},
        {"callee": "13800138000", **TERMS, "on_behalf_of": "x"},
        {**good, "for_time": "soon"},
        {**good, "for_time": "2099-01-01T00:00:00"},
        {**good, "for_time": "2020-01-01T00:00:00Z"},
        {**good, "for_time": far},
        TERMS,
        [],
    ]
    lists: list[object] = [[], "13800138000", ["1"] * (MOST_CALLEES + 1), [{}]]
    callers = ["", "x", "138", "+1 212 555 0100", "1.38E+10", "6552 9988", "010 6552 9988 ext 1"]
    answers = [
        *(post(client, "/api/v1/checks", body, keys["LIVE"]) for body in bodies),
        *(post(client, "/api/v1/checks", {**good, "caller": caller}, keys["LIVE"]) for caller in callers),
        *(post(client, "/api/v1/checks/batch", {**TERMS, "callees": callees}, keys["LIVE"]) for callees in lists),
        post(client, "/api/v1/checks", good, keys["TEST"]),
        post(client, "/api/v1/checks", {**good, "callee": "10100000099"}, keys["TEST"]),
        post(client, "/api/v1/checks", good, scoped),
        post(client, "/api/v1/checks", "{", keys["LIVE"]),
        post(client, "/api/v1/checks", " " * (settings.MAX_BODY_BYTES + 1), keys["LIVE"]),
        post(client, "/api/v1/checks", good, "dnc_live_x"),
        client.post("/api/v1/checks"),
        client.post(f"/api/v1/checks?key={keys['LIVE']}"),
        client.get("/api/v1/checks"),
        client.post("/api/v1/checks", {"a": "b"}, headers={"authorization": f"Bearer {keys['LIVE']}"}),
        client.generic(
            "POST",
            "/api/v1/checks",
            headers={"authorization": f"Bearer {keys['LIVE']}", "transfer-encoding": "chunked"},
            CONTENT_LENGTH="",
        ),
        client.get("/api/v1/nothing"),
        client.get("/api/v1/callers/13800138000"),
    ]
    answers += from_the_other_doors(client, keys, w)
    with override_settings(RATE_LIMITS={**settings.RATE_LIMITS, "checks": 0}):
        answers.append(post(client, "/api/v1/checks", good, keys["LIVE"]))
    with override_settings(ALLOWED_HOSTS=["registry.example"]):
        answers.append(client.get("/healthz"))
    # The handler of last resort: no request is known that reaches it. And what takes two requests at once.
    found = {(500, "internal_error"), (409, "idempotency_in_flight")}
    for answer in answers:
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        found |= {(answer.status_code, problem["code"])}
        found |= {(answer.status_code, error["code"]) for error in problem["errors"]}
    return found


def from_the_other_doors(client: Client, keys: dict[str, str], w: World) -> list[Any]:
    def get(query: str) -> Any:
        return client.get(f"/api/v1/matters?{query}", headers={"authorization": f"Bearer {keys['LIVE']}"})

    def send(path: str, body: object = None, key: str = "LIVE", **headers: str) -> Any:
        return post(client, f"/api/v1/{path}", {} if body is None else body, keys[key], **headers)

    now = clock.iso(clock.now())
    line, number = {"number": "010 6552 9977"}, {"number": "13800138000"}
    matter = {"code": "x", "purpose": "retail", "title": "x", "wording": "x"}
    mandate = firms.propose_mandate(agent=w.centre, client=w.loans, by=OPERATOR, at=world.START)
    another = firms.propose_mandate(agent=w.centre, client=w.loans, by=OPERATOR, at=world.START)
    send("calling-numbers", line, **{"idempotency-key": "a"})
    send(f"mandates/{mandate.pk}/confirm")
    send("matters/spring-loan/withdraw")
    return [
        *(get(query) for query in ("x=1", "limit=1&limit=2", "limit=0", "limit=101", "cursor=x")),
        send("calling-numbers", line, "TEST"),
        send("calling-numbers", line),
        send("calling-numbers", number),
        send("calling-numbers", number, **{"idempotency-key": "a"}),
        send("calling-numbers", line, **{"idempotency-key": "a b"}),
        send("receipts/confirm", {"jti": "0" * 32, **number}),
        send("matters", {**matter, "title": "13800138000"}),
        send("matters", {**matter, "code": "spring-loan"}),
        send("matters/spring-loan/withdraw"),
        send("mandates", {"client": "91350100M000100Y43"}),
        send("mandates", {"client": w.loans.credit_code}),
        send(f"mandates/{mandate.pk}/confirm"),
        send(f"mandates/{another.pk}/confirm"),
        send("refusals", {**number, "said_at": "2099-01-01T00:00:00Z"}),
        send("refusals", {**number, "said_at": "2020-01-01T00:00:00Z"}),
        send("refusals", {**number, "said_at": now, "on_behalf_of": w.shop.credit_code}),
    ]


def test_errors_are_those_that_a_client_can_get(elicited):
    listed = [(int(cells[0]), cells[1]) for cells in rows(section("api.md", "## Errors"))]
    assert len(listed) == len(set(listed))
    assert set(listed) == elicited


def raised() -> set[str]:
    """Every code that our own code raises, except those put together at run time (`NumberRefused`)."""
    found = set(REFUSALS)
    for path in code():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if name in {"Refused", "NotFound", "Unauthenticated", "Forbidden", "KeyInQuery", "__init__"}:
                    found.add(str(node.args[0].value))
    return found


def test_every_code_that_is_raised_is_explained():
    of_api = {cells[1] for cells in rows(section("api.md", "## Errors"))}
    of_commands = [cells[0] for cells in rows(section("operations.md", "## When a command is refused"))]
    assert of_commands == sorted(set(of_commands))
    assert raised() - of_api - set(of_commands) == set()
    assert set(of_commands) - raised() == set()


# --- receipts -----------------------------------------------------------------------------------------


def claims_listed(kind: str) -> set[str]:
    return {
        cells[0] for cells in rows(section("api.md", "## Receipts")) if len(cells) == 3 and cells[1] in ("both", kind)
    }


def test_claims_are_listed(client, keys):
    single = post(client, "/api/v1/checks", {**TERMS, "callee": "10100000015"}, keys["TEST"]).json()
    batch = post(client, "/api/v1/checks/batch", {**TERMS, "callees": ["10100000015"]}, keys["TEST"]).json()
    for answer, kind in ((single, "single"), (batch, "batch")):
        assert set(receipts.verify(answer["receipt"], receipts.jwk_set())) == claims_listed(kind)


@pytest.mark.parametrize("library", ["joserfc", "cryptography"])
def test_receipts_are_verified_as_shown(client, keys, tmp_path, library):
    (tmp_path / "verify.py").write_text(example("api.md", library), encoding="utf-8")
    (tmp_path / "jwks.json").write_bytes(client.get("/.well-known/jwks.json").content)

    def verified(answer: dict[str, str]) -> tuple[int, str]:
        (tmp_path / "answer.json").write_text(json.dumps(answer), encoding="utf-8")
        run = subprocess.run(
            [sys.executable, "verify.py", "answer.json", "jwks.json"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return run.returncode, run.stdout + run.stderr

    answer = post(client, "/api/v1/checks", {**TERMS, "callee": "13800138000"}, keys["LIVE"]).json()
    status, said = verified(answer)
    assert status == 0, said
    assert "genuine: block, for calls from" in said
    batch = post(client, "/api/v1/checks/batch", {**TERMS, "callees": ["13800138000"]}, keys["LIVE"]).json()
    assert "genuine: a batch" in verified(batch)[1]

    header, payload, signature = answer["receipt"].split(".")
    other = post(client, "/api/v1/checks", {**TERMS, "callee": "13900139000"}, keys["LIVE"]).json()["receipt"]
    forged = ".".join((header, other.split(".")[1], signature))
    unsigned = ".".join(("eyJhbGciOiJub25lIiwia2lkIjoibGl2ZS0xIn0", payload, ""))  # {"alg":"none","kid":"live-1"}
    for false in (forged, unsigned, "rubbish"):
        status, said = verified({"receipt": false})
        assert (status, "not genuine" in said) == (1, True), said
    of_test = post(client, "/api/v1/checks", {**TERMS, "callee": "10100000015"}, keys["TEST"]).json()
    status, said = verified(of_test)
    assert (status, "not a live receipt" in said) == (1, True), said


def test_digests_are_computed_as_shown(client, keys, w):
    scope: dict[str, object] = {}
    exec(compile(example("api.md", "digests"), "docs/api.md", "exec"), scope)
    asked = {**TERMS, "callees": ["138 0013 8000", "12345"]}
    answer = post(client, "/api/v1/checks/batch", asked, keys["LIVE"]).json()
    claims = receipts.verify(answer["receipt"], receipts.jwk_set())
    digests = scope["digests"]
    assert callable(digests)
    assert digests(answer) == [claims["input_sha256"], claims["result_sha256"]]

    text = section("api.md", "### The digests of a batch")
    results = [
        {
            "callee": callee,
            "number": told.split(",")[0] or None,
            "verdict": told.split(",")[1],
            "reason": told.split(",")[2],
        }
        for callee, told in rows(text)
    ]
    printed = re.findall(r"^    ([0-9a-f]{64})$", text, re.MULTILINE)
    assert digests({"results": results}) == printed
    lines = re.findall(r"^(printf '.+' \| sha256sum)$", text, re.MULTILINE)
    assert len(lines) == 2
    for line, digest in zip(lines, printed, strict=True):
        run = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, timeout=10, check=True)
        assert run.stdout.split()[0] == digest


# --- operations ---------------------------------------------------------------------------------------


def test_every_variable_is_listed():
    source = (ROOT / "dncregistry" / "settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r"(?:env\.(?:str|bool|int|list)|required_in_production)\(\s*\"(\w+)\"", source))
    for path in code():
        read |= set(re.findall(r"os\.environ(?:\.get\(|\[)\"(\w+)\"", path.read_text(encoding="utf-8")))
        read |= set(re.findall(r"\"(\w+)\" (?:not )?in os\.environ", path.read_text(encoding="utf-8")))
    assert len(read) > 10
    listed = {
        name for line in section("operations.md", "## Settings").splitlines() if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }  # fmt: skip
    assert listed == read


def test_parts_of_readiness_are_listed():
    listed = [cells[0] for cells in rows(section("operations.md", "## Health")) if not cells[0].startswith("/")]
    assert listed == list(health.PARTS)


@pytest.mark.django_db
def test_a_firm_is_entered_and_its_key_revoked_as_shown(w, capsys):
    exec(compile(example("operations.md", "a firm"), "docs/operations.md", "exec"), {})
    key = capsys.readouterr().out.strip()
    assert key.startswith("dnc_live_")
    exec(compile(example("operations.md", "a key revoked"), "docs/operations.md", "exec"), {})
    credential = Credential.objects.get(firm__credit_code="91310000MA1FL00030")
    assert credential.hint == key[-4:]
    assert credential.ends is not None
    assert Event.objects.filter(actor_kind=ledger.OPERATOR.kind, object_kind="credential").count() >= 2


@pytest.mark.django_db
def test_what_firms_submitted_is_approved_as_shown(client, keys, w, capsys):
    matter = {"code": "autumn-loan", "purpose": "loan_finance", "title": "x", "wording": "x"}
    post(client, "/api/v1/calling-numbers", {"number": "010 6552 9977"}, keys["LIVE"])
    post(client, "/api/v1/matters", matter, keys["LIVE"])
    exec(compile(example("operations.md", "approvals"), "docs/operations.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert not CallingNumber.objects.waiting(clock.now()).exists()
    assert not Matter.objects.waiting(clock.now()).exists()


# --- policy -------------------------------------------------------------------------------------------


def test_the_example_is_the_shipped_policy():
    assert json.loads(example("policy.md", "china")) == shipped.policy("china")


def test_fields_of_a_policy_are_listed_with_what_weakens_them():
    listed = [cells for cells in rows(section("policy.md", "## The document")) if len(cells) == 3]
    document = shipped.policy("china")
    assert [cells[0] for cells in listed] == list(document)
    for name in document:
        with pytest.raises(Refused) as refused:
            policies.read({other: value for other, value in document.items() if other != name})
        assert refused.value.field == name
    rules = policies.read(document)
    weakest = policies.read(
        document
        | {"stances": dict.fromkeys(document["stances"], "open"), "hours": [["00:00", "24:00"]]}
        | {"calls_on_public_holidays": True, "working_weekends": ["2027-02-06"]}
        | {name: document[name] + 1 for name in policies.FIGURES}
        | {name: document[name] - 1 for name in ("cap_window_days", "suspension_days", "bar_months")}
    )
    weaker = {*policies.weakens(rules, weakest), "holidays"}
    assert {cells[0] for cells in listed if cells[2]} == weaker


def test_the_policies_listed_are_those_shipped():
    assert [cells[0] for cells in rows(section("policy.md", "## Shipped policies"))] == list(shipped.POLICIES)
