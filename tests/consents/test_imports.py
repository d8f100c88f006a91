"""An import adds what is missing, once, however often it is cut off; and it takes nothing back that a citizen said."""

from __future__ import annotations

import csv
import gzip
import stat
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from consents import actions, imports
from consents.models import Holding, Registration, RegistrationImport
from consents.numberfile import NumberFile
from consents.terms import HoldingSource
from dncregistry.errors import Refused
from record import keys, ledger
from record.ledger import OPERATOR
from record.models import Event, Number
from record.numbers import NumberRefused, PhoneNumber
from record.terms import Verb
from telemarketers.terms import ALL_CHANNELS, Channel
from tests.world import ALICE, BOB, NOW, START, SUBSCRIBER, World

pytestmark = pytest.mark.django_db


class Cut(Exception):
    """The program ends here."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "export.txt"


def report_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.refused.csv")


def run(path: Path, content: str | bytes | None = None, *, cut_after: int = -1, **options: Any) -> RegistrationImport:
    """Imports the file, three lines at a time; cut off after so many chunks, as a kill between two commits would."""
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    chunks = 0

    def advance(position: int, size: int) -> None:
        nonlocal chunks
        chunks += 1
        assert 0 < position <= size
        if chunks == cut_after:
            raise Cut

    arguments: dict[str, Any] = {"column": None, "report": report_of(path), "pace": imports.Pace(3)}
    return imports.run(path, by=OPERATOR, now=lambda: NOW, advance=advance, **{**arguments, **options})


def many(count: int) -> list[str]:
    return [f"138{index:08}" for index in range(count)]


def told(done: RegistrationImport) -> tuple[int, int, int, dict[str, int]]:
    return done.lines, done.added, done.already, done.refused


def refused_in(report: Path) -> list[tuple[int, str]]:
    with report.open(newline="") as file:
        return [(int(row["line"]), row["code"]) for row in csv.DictReader(file)]


# --- what is added -----------------------------------------------------------------------------------


def test_every_number_is_registered_with_its_events(path):
    assert told(run(path, "\n".join(many(10)))) == (10, 10, 0, {})
    assert Holding.objects.filter(source=HoldingSource.IMPORT, subscriber=None, ends=None).count() == 10
    assert Registration.objects.filter(purpose=None, channels=int(ALL_CHANNELS), ends=None).count() == 10
    for row in (*Holding.objects.all(), *Registration.objects.all()):
        event = Event.objects.get(object_kind=ledger.kind_of(row), object_id=str(row.pk))
        assert (event.state, event.actor_kind) == (ledger.image(row), "operator")


def test_one_number_in_many_spellings_is_added_once(path):
    assert told(run(path, "13800138000\n138 0013 8000\n+8613800138000\n１３８００１３８０００\n")) == (4, 1, 3, {})
    assert Registration.objects.count() == 1


def test_a_packed_csv_in_a_chinese_encoding(path):
    content = gzip.compress("姓名,手机\r\n张三,13800138000\r\n李四,139\r\n".encode("gb18030"))
    assert told(run(path, content, column="手机")) == (3, 1, 0, {"length": 1})
    assert actions.number_row(ALICE)


def test_columns_of_one_file_are_imports_of_their_own(path):
    content = "a,b\n13800138000,13900139000\n"
    assert told(run(path, content, column="a"))[1] == 1
    assert told(run(path, column="b"))[1] == 1
    assert actions.number_row(BOB)


# --- refused lines -----------------------------------------------------------------------------------


def test_refused_lines_are_reported_by_line_and_reason_and_never_as_text(path):
    content = "phone\n13800138000\n1.38E+10\n\n+4420 7946 0958\n138001380001\n" + "1" * 70_000 + "\n"
    done = run(path, content)
    assert refused_in(report_of(path)) == [
        (1, "not_a_number"),
        (3, "excel_rounded"),
        (5, "foreign"),
        (6, "length"),
        (7, "line_too_long"),
    ]
    assert done.refused == {"not_a_number": 1, "excel_rounded": 1, "foreign": 1, "length": 1, "line_too_long": 1}
    written = report_of(path).read_text()
    assert "13800138000" not in written
    assert "7946" not in written
    assert stat.S_IMODE(report_of(path).stat().st_mode) == 0o600


def test_every_reason_has_its_sentence():
    assert all(str(reason).endswith((".", "。")) for reason in imports.REASONS.values())


def test_nothing_refused_leaves_no_report(path):
    run(path, "13800138000\n")
    assert not report_of(path).exists()


def test_a_report_that_others_could_read_is_closed_to_them(path):
    report_of(path).write_text("of an earlier file, with the same name\n")
    report_of(path).chmod(0o644)
    run(path, "x\n")
    assert refused_in(report_of(path)) == [(1, "not_a_number")]
    assert stat.S_IMODE(report_of(path).stat().st_mode) == 0o600


def test_the_file_is_not_overwritten_by_its_own_report(path):
    with pytest.raises(Refused, match="report_unwritable"):
        run(path, "x\n13800138000\n", report=path)
    assert path.read_text() == "x\n13800138000\n"


def test_a_report_that_cannot_be_written_stops_the_import_before_it_begins(path):
    with pytest.raises(Refused, match="report_unwritable"):
        run(path, "x\n13800138000\n", report=path.parent / "no" / "folder.csv")
    assert not Registration.objects.exists()


# --- cut off, and again ------------------------------------------------------------------------------

LINES = "\n".join(["phone", *many(4), "x", *many(12), "139"])


@pytest.mark.parametrize("cut", [1, 2, 5, 6])
def test_a_run_that_was_cut_off_goes_on_where_it_was(path, cut):
    with pytest.raises(Cut):
        run(path, LINES, cut_after=cut)
    done = RegistrationImport.objects.get()
    assert done.lines == 3 * cut
    assert done.ended_at is None
    assert told(run(path)) == (19, 12, 4, {"not_a_number": 2, "length": 1})
    assert refused_in(report_of(path)) == [(1, "not_a_number"), (6, "not_a_number"), (19, "length")]
    assert Event.objects.count() == 24


def test_what_a_kill_left_in_the_report_beyond_the_last_commit_is_not_told_twice(path):
    with pytest.raises(Cut):
        run(path, LINES, cut_after=1)
    with report_of(path).open("a") as report:
        report.write("6,not_a_number,written but not com")
    run(path)
    assert refused_in(report_of(path)) == [(1, "not_a_number"), (6, "not_a_number"), (19, "length")]


def test_a_chunk_that_fails_leaves_nothing(path):
    calls = 0

    def now() -> datetime:
        nonlocal calls
        calls += 1
        if calls == 3:  # the import's beginning, the first chunk, the second
            raise Cut
        return NOW

    path.write_text(LINES)
    with pytest.raises(Cut):
        imports.run(
            path,
            column=None,
            report=report_of(path),
            by=OPERATOR,
            now=now,
            advance=lambda position, size: None,
            pace=imports.Pace(3),
        )
    assert Registration.objects.count() == 2
    assert RegistrationImport.objects.get().lines == 3
    assert told(run(path))[1:3] == (12, 4)


def test_without_its_report_an_import_reads_all_again_and_makes_it_anew(path):
    with pytest.raises(Cut):
        run(path, LINES, cut_after=3)
    report_of(path).unlink()
    assert told(run(path)) == (19, 8, 8, {"not_a_number": 2, "length": 1})
    assert refused_in(report_of(path)) == [(1, "not_a_number"), (6, "not_a_number"), (19, "length")]
    assert Registration.objects.count() == 12


def test_a_run_repeated_does_nothing(path):
    first = run(path, LINES)
    before = [*Event.objects.values_list("pk", flat=True)]
    report = report_of(path).read_bytes()
    again = run(path)
    assert (again.pk, told(again), again.ended_at) == (first.pk, told(first), first.ended_at)
    assert [*Event.objects.values_list("pk", flat=True)] == before
    assert report_of(path).read_bytes() == report


def test_the_same_file_under_another_name_is_the_same_file(path, tmp_path):
    run(path, LINES)
    assert run(tmp_path / "copy.txt", LINES).pk == RegistrationImport.objects.get().pk


def test_a_changed_file_is_another_file_and_adds_only_what_is_new(path):
    run(path, LINES)
    assert told(run(path, LINES + "\n13900139000")) == (20, 1, 16, {"not_a_number": 2, "length": 1})
    assert RegistrationImport.objects.count() == 2


def test_a_file_that_is_written_to_while_it_is_read_is_not_done(path):
    def append(position: int, size: int) -> None:
        path.write_text("13800138000\n13900139000\n")

    path.write_text("13800138000\n")
    with pytest.raises(Refused, match="file_changed"):
        imports.run(
            path,
            column=None,
            report=report_of(path),
            by=OPERATOR,
            now=lambda: NOW,
            advance=append,
            pace=imports.Pace(1),
        )
    assert RegistrationImport.objects.get().ended_at is None


def test_what_precedes_the_damage_is_registered(path):
    whole = gzip.compress("\n".join(many(20_000)).encode())
    with pytest.raises(Refused, match="unreadable"):
        run(path, whole[: len(whole) - 2_000], pace=imports.Pace(1_000))
    half_done = RegistrationImport.objects.get()
    assert half_done.lines == half_done.added == Registration.objects.count()
    assert 0 < half_done.lines < 20_000


# --- two at once -------------------------------------------------------------------------------------


def during(path: Path, other: Callable[[], Any]) -> None:
    """Runs an import, and `other` after its first chunk."""
    began = False

    def advance(position: int, size: int) -> None:
        nonlocal began
        if not began:
            began = True
            other()

    imports.run(
        path, column=None, report=report_of(path), by=OPERATOR, now=lambda: NOW, advance=advance, pace=imports.Pace(3)
    )


def test_a_second_run_of_a_file_does_not_begin_while_the_first_writes_its_report(path):
    path.write_text(LINES)

    def second() -> None:
        with pytest.raises(Refused, match="import_running"):
            run(path)

    during(path, second)
    assert told(RegistrationImport.objects.get()) == (19, 12, 4, {"not_a_number": 2, "length": 1})
    assert len(refused_in(report_of(path))) == 3


def test_of_two_runs_with_reports_of_their_own_the_one_that_is_overtaken_stops(path, tmp_path):
    path.write_text(LINES)
    with pytest.raises(Refused, match="import_running"):
        during(path, lambda: run(path, report=tmp_path / "other.csv"))
    done = RegistrationImport.objects.get()
    assert done.ended_at is not None
    assert Registration.objects.count() == 12
    assert len(refused_in(tmp_path / "other.csv")) == 3


# --- the digest --------------------------------------------------------------------------------------


def test_no_digest_gives_a_lone_number_away(path):
    """The plain digest of a file with one number is that number to whoever tries them all."""
    run(path, "13800138000\n", column=None)
    kept = RegistrationImport.objects.get()
    with NumberFile(path) as file:
        plain = file.sha256()
    assert bytes(kept.digest) != plain
    assert keys.pseudonymizer().decrypt(bytes(kept.digest), key_id=kept.number_key) == plain


def test_a_number_given_as_a_column_is_not_kept(path):
    with pytest.raises(Refused, match="no_such_column"):
        run(path, "13800138000,x\n", column="13900139000")
    assert RegistrationImport.objects.get().column == "139****9000"


def test_an_import_from_before_the_key_was_changed_goes_on(path, rotate_number_key):
    with pytest.raises(Cut):
        run(path, LINES, cut_after=2)
    rotate_number_key()
    assert told(run(path)) == (19, 12, 4, {"not_a_number": 2, "length": 1})
    assert RegistrationImport.objects.count() == 1
    assert set(Number.objects.values_list("key", flat=True)) == {1, 2}


# --- what citizens said stands -----------------------------------------------------------------------


def test_who_left_the_list_is_not_put_back(path, w: World):
    holding = w.hold()
    actions.register(holding=holding, by=SUBSCRIBER, at=START)
    actions.leave(holding=holding, by=SUBSCRIBER, at=START + timedelta(hours=1))
    assert told(run(path, "13900139000\n13800138000\n13800138000\n")) == (3, 1, 0, {"left_the_registry": 2})
    assert refused_in(report_of(path)) == [(2, "left_the_registry"), (3, "left_the_registry")]
    assert w.ask_shop() == "allow not_registered"


def test_an_authorization_survives(path, w: World):
    w.authorize()
    run(path, "13800138000\n")
    assert w.ruling(matter="spring-loan") == "allow authorized"
    assert w.ask_shop() == "block registered"


# --- the same as one by one --------------------------------------------------------------------------

POOL = [PhoneNumber(f"+861380013800{digit}") for digit in range(6)]
SPELLED = st.sampled_from(POOL).flatmap(
    lambda number: st.sampled_from([number.e164, number.national, f"{number.national[:3]} {number.national[3:]}\r"])
)
JUNK = st.sampled_from(["", "phone", "138", "+4420 7946 0958", "13800138000,x", "１３８"])
# What may have been said about a number before.
PASTS = ("nothing", "held", "retail", "sms", "all", "left", "left, retail since", "authorized", "declined")


def had(w: World, number: PhoneNumber, past: str) -> None:
    if past == "nothing":
        return
    holding, at = w.hold(number), START + timedelta(minutes=1)
    if past == "authorized":
        w.authorize(number=number)
    elif past == "retail":
        actions.register(holding=holding, purposes=[w.purpose("retail")], by=SUBSCRIBER, at=at)
    elif past == "sms":
        actions.register(holding=holding, channels=Channel.SMS, by=SUBSCRIBER, at=at)
    elif past != "held":
        actions.register(holding=holding, by=SUBSCRIBER, at=at)
    if past.startswith("left"):
        actions.leave(holding=holding, by=SUBSCRIBER, at=at + timedelta(minutes=1))
    if past == "left, retail since":
        actions.register(holding=holding, purposes=[w.purpose("retail")], by=SUBSCRIBER, at=at + timedelta(minutes=2))
    if past == "declined":
        new = actions.add_subscriber(by=SUBSCRIBER, at=at)
        actions.hand_over(number=number, subscriber=new, keep_registration=False, by=SUBSCRIBER, at=at)


def one_by_one(texts: list[str], pasts: dict[PhoneNumber, str]) -> None:
    for text in texts:
        try:
            number = PhoneNumber.parse(text)
        except NumberRefused:
            continue
        if pasts[number].startswith("left") or pasts[number] == "declined":
            continue
        holding = actions.hold(number=number, source=HoldingSource.IMPORT, by=OPERATOR, at=NOW)
        kept = holding.authorizations.in_force(NOW).values_list("pk", flat=True)
        actions.register(holding=holding, keep=[*kept], by=OPERATOR, at=NOW)


def snapshot() -> dict[str, Counter[Any]]:
    """All rows, but for ids."""
    of_number = "holding__number__pseudonym"
    return {
        "holdings": Counter(
            Holding.objects.values_list("number__pseudonym", "source", "subscriber__since", "starts", "ends")
        ),
        "registrations": Counter(
            Registration.objects.values_list(of_number, "purpose", "channels", "starts", "ends", "holding__ends")
        ),
        "events": Counter(Event.objects.values_list("verb", "actor_kind", "object_kind", "at")),
        "numbers": Counter(Number.objects.values_list("pseudonym", "key")),
    }


@examples(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    texts=st.lists(SPELLED | JUNK, max_size=14),
    pasts=st.fixed_dictionaries({number: st.sampled_from(PASTS) for number in POOL}),
    chunk_lines=st.integers(1, 6),
    cuts=st.lists(st.integers(1, 4), max_size=3),
)
def test_any_lines_in_any_chunks_cut_anywhere_are_as_one_by_one(
    w: World, tmp_path_factory, texts, pasts, chunk_lines, cuts
):
    path = tmp_path_factory.mktemp("any") / "export.txt"
    path.write_text("\n".join(texts), newline="")
    found = []
    for imported in (True, False):
        with transaction.atomic():
            for number, past in pasts.items():
                had(w, number, past)
            if imported:
                for cut in cuts:
                    try:
                        run(path, cut_after=cut, pace=imports.Pace(chunk_lines))
                    except Cut:
                        continue
                run(path, pace=imports.Pace(chunk_lines))
            else:
                one_by_one(texts, pasts)
            found.append(snapshot())
            transaction.set_rollback(True)
    assert found[0] == found[1]
    assert report_is_of_every_refused_line(path, texts, pasts)


def report_is_of_every_refused_line(path: Path, texts: list[str], pasts: dict[PhoneNumber, str]) -> bool:
    expected = []
    for at, text in enumerate("\n".join(texts).split("\n"), 1):
        try:
            number = PhoneNumber.parse(text)
        except NumberRefused as refused:
            if text:
                expected.append((at, refused.code))
        else:
            if pasts[number].startswith("left") or pasts[number] == "declined":
                expected.append((at, "left_the_registry"))
    return expected == (refused_in(report_of(path)) if report_of(path).exists() else [])


def test_the_verbs_are_those_of_registering_one_by_one(path):
    run(path, "13800138000\n")
    assert [*Event.objects.order_by("pk").values_list("verb", flat=True)] == [Verb.HOLDING_OPENED, Verb.REGISTERED]
