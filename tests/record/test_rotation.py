"""Keys change while the registry serves: killed at any step it goes on, and no number is ever lost or met twice."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillWaiting
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from threading import Event as Flag
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from django.utils import translation
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from consents import actions, bulk, check, facts
from consents.check import Asked
from consents.models import AllowDay, CheckRecord, CheckSet, Holding, Registration
from consents.terms import HoldingSource
from dncregistry.errors import CannotRule, Refused
from record import keys, rotation, stored_numbers
from record.ledger import OPERATOR
from record.models import KeyInUse, Number
from record.numbers import PhoneNumber, parse_caller
from telemarketers.terms import Channel
from tests.consents.test_facts import sale
from tests.world import ALICE, BOB, LOANS_LINE, NOW, START, SUBSCRIBER, World

CAROL = PhoneNumber("+8613700137000")
EVERYBODY = [PhoneNumber(f"+86138{index:08}") for index in range(40)]


@pytest.fixture
def place(settings: Settings, tmp_path: Path) -> Path:
    """A folder of this test's own keys, one of each."""
    settings.KEYS_DIR = tmp_path / "keys"
    settings.OUTER_KEYS_DIR = tmp_path / "outer"
    keys.require()
    return tmp_path / "keys"


def run(*arguments: str) -> None:
    with translation.override("en"):
        call_command(*arguments)


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- killed at each step --------------------------------------------------------------------------------


def killed_at(step: int, act: Callable[[], object]) -> bool:
    """Does `act` in a process of its own, killed before its `step`-th touch of a file; whether it came so far."""
    child = os.fork()
    if child == 0:
        left = step

        def count(event: str, _arguments: Any) -> None:
            nonlocal left
            if event in ("open", "os.rename", "os.link", "os.remove"):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            act()
        finally:
            os._exit(0)
    _pid, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def killed_everywhere(act: Callable[[], object]) -> Iterator[int]:
    """Kills `act` before its first touch of a file, its second, … until it gets through."""
    step = 1
    while killed_at(step, act):
        yield step
        step += 1
    assert step > 5


forks = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

# --- the outer key -------------------------------------------------------------------------------------


def test_a_new_outer_key_wraps_the_same_number_keys(place: Path) -> None:
    keys.make_next("number", keys.files("number"))
    before = keys.pseudonymizer().pseudonyms(ALICE)
    done = rotation.rotate_outer_key()
    assert (done.outer.name, done.number_keys, [path.name for path in done.older]) == ("2.key", 2, ["1.key"])
    for path in done.older:
        path.unlink()
    assert keys.reread().pseudonyms(ALICE) == before
    keys.require()


def test_plain_number_keys_are_wrapped_by_the_outer_key_that_is_there(place: Path) -> None:
    (place / "number" / "1.key").write_text("ab" * 32)
    done = rotation.rotate_outer_key()
    assert (done.outer.name, done.number_keys, done.older) == ("1.key", 1, [])
    assert keys.reread().current.secret.hex() == "ab" * 32


@forks
def test_killed_at_any_step_rotating_the_outer_key_goes_on(place: Path) -> None:
    keys.make_next("number", keys.files("number"))
    before = keys.pseudonymizer().pseudonyms(ALICE)
    for _step in killed_everywhere(rotation.rotate_outer_key):
        keys.require()
        assert keys.reread().pseudonyms(ALICE) == before
    # Many were killed before they had done anything, some between; a key was made only when the last had wrapped all.
    newest = keys.files("outer")[-1].id
    assert {keys.wrapped_by(file.path) for file in keys.files("number")} == {newest}
    assert [name for folder in (place / "number", place.parent / "outer") for name in listing(folder)] == [
        "1.key",
        "2.key",
        *(f"{number}.key" for number in range(1, newest + 1)),
    ]


def test_a_new_number_key_is_wrapped_by_the_newest_outer_key(place: Path) -> None:
    rotation.rotate_outer_key()
    assert keys.wrapped_by(keys.make_next("number", keys.files("number"))) == 2


def test_the_command_says_what_may_be_destroyed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("rotate_outer_key")
    said = capsys.readouterr().out
    assert re.search(r"outer/2\.key wraps every number key now", said)
    assert re.search(r"outer/1\.key opens nothing any more.*destroy it", said)


# --- the keys of receipts --------------------------------------------------------------------------------


def test_a_receipt_key_changes_in_two_runs(place: Path, db: None, capsys: pytest.CaptureFixture[str]) -> None:
    run("rotate_receipt_key")
    assert listing(place / "receipt") == ["live-1.pem", "live-2.next.pem"]
    assert "Run this again from" in capsys.readouterr().out
    signing = keys.signing_keys("receipt")
    assert (signing.current, list(signing.published)) == ("live-1", ["live-1", "live-2"])
    with pytest.raises(Refused) as refusal:
        run("rotate_receipt_key")
    assert refusal.value.code == "too_early"
    an_hour_ago(place / "receipt" / "live-2.next.pem")
    run("rotate_receipt_key")
    assert listing(place / "receipt") == ["live-1.pub.pem", "live-2.pem"]
    rotated = keys.signing_keys("receipt")
    assert (rotated.current, rotated.published) == ("live-2", signing.published)
    assert listing(place / "receipt-test") == ["test-1.pem"]
    run("rotate_receipt_key")
    assert listing(place / "receipt") == ["live-1.pub.pem", "live-2.pem", "live-3.next.pem"]


def test_the_key_of_test_receipts_changes_by_itself(place: Path, db: None) -> None:
    run("rotate_receipt_key", "--test")
    run("rotate_receipt_key", "--test", "--now")
    assert listing(place / "receipt-test") == ["test-1.pub.pem", "test-2.pem"]
    assert listing(place / "receipt") == ["live-1.pem"]


def test_the_hour_may_be_waived_and_what_that_costs_is_said(
    place: Path, db: None, capsys: pytest.CaptureFixture[str]
) -> None:
    run("rotate_receipt_key")
    run("rotate_receipt_key", "--now")
    assert "may take new receipts for forged" in capsys.readouterr().err
    assert keys.signing_keys("receipt").current == "live-2"


def test_older_keys_that_still_have_their_private_halves_are_retired(place: Path, db: None) -> None:
    """As an interrupted run, or the way that receipt keys were changed before, leaves them."""
    for _key in range(2):
        keys.make_next("receipt", keys.files("receipt"))
    published = keys.signing_keys("receipt").published
    run("rotate_receipt_key")
    assert listing(place / "receipt") == ["live-1.pub.pem", "live-2.pub.pem", "live-3.pem"]
    assert keys.signing_keys("receipt").published == published


def an_hour_ago(path: Path) -> None:
    then = (datetime.now(UTC) - timedelta(hours=1, seconds=1)).timestamp()
    os.utime(path, (then, then))


def change_receipt_key() -> None:
    rotation.retire("receipt")
    rotation.publish_next("receipt")
    rotation.sign_with_next("receipt")
    rotation.retire("receipt")


@forks
def test_killed_at_any_step_changing_a_receipt_key_goes_on_and_forgets_no_public_half(place: Path) -> None:
    known = dict(keys.signing_keys("receipt").published)
    for _step in killed_everywhere(change_receipt_key):
        keys.require()
        signing = keys.signing_keys("receipt")
        assert signing.key.public_key() == signing.published[signing.current]
        assert known.items() <= signing.published.items()
        known |= signing.published
    change_receipt_key()
    left = listing(place / "receipt")
    assert [name for name in left if not name.endswith(".pub.pem")] == [f"live-{len(left)}.pem"]


# --- which key is written under ----------------------------------------------------------------------------


def new_key() -> int:
    """A number key in use from now on, as the command brings one into use."""
    key, _path, _new = rotation.next_number_key()
    rotation.announce(key, at=START)
    return key


def test_a_key_that_only_waits_is_not_written_under(place: Path, w: World) -> None:
    assert rotation.next_number_key()[0] == 2
    w.authorize(w.purpose("retail"), firm=w.shop)
    w.ask_shop()
    bulk.register_all([BOB], source=HoldingSource.IMPORT, by=OPERATOR, at=NOW)
    assert set(Number.objects.values_list("key", flat=True)) == {1}
    assert CheckRecord.objects.get().number_key == AllowDay.objects.get().number_key == 1


def test_a_set_of_checks_can_be_read_with_the_key_that_it_names(place: Path, w: World) -> None:
    rotation.next_number_key()
    asked = Asked(parse_caller(LOANS_LINE), "loan_finance", "", Channel.VOICE)
    for key in (1, 2):
        callees = [check.read_callee(number.e164) for number in (ALICE, BOB)]
        answer = check.check_batch(asked, callees, credential=w.credential, at=NOW)
        kept = CheckSet.objects.get(pk=answer.id)
        assert kept.number_key == key
        assert keys.pseudonymizer().decrypt(bytes(kept.result_digest), key_id=key) == answer.result_digest()
        packed = b"".join(bytes(segment.packed) for segment in kept.packed.all())
        assert keys.pseudonymizer().pseudonym_many([ALICE], key_id=key)[0] in packed
        rotation.announce(2, at=START)


def test_everything_new_is_written_under_the_key_announced(place: Path, w: World) -> None:
    new_key()
    w.ask_shop()
    w.hold(ALICE)
    bulk.register_all([BOB], source=HoldingSource.IMPORT, by=OPERATOR, at=NOW)
    kept, day = CheckRecord.objects.get(), AllowDay.objects.get()
    assert set(Number.objects.values_list("key", flat=True)) == {kept.number_key, day.number_key} == {2}
    pseudonym = keys.pseudonymizer().pseudonym_many([ALICE], key_id=2)[0]
    assert bytes(kept.callee or b"") == bytes(day.callee) == pseudonym


def test_a_day_noted_under_two_keys_is_one_day(place: Path, w: World) -> None:
    """Three days in thirty. The first is noted twice, before and after a new key."""
    w.authorize()
    for day in range(3):
        assert w.ruling(matter="spring-loan", at=NOW + timedelta(days=day)) == "allow authorized"
        if day == 0:
            new_key()
            assert w.ruling(matter="spring-loan", at=NOW) == "allow authorized"
    assert AllowDay.objects.count() == 4
    assert w.ruling(matter="spring-loan", at=NOW + timedelta(days=3)) == "block cap_reached"


def test_days_are_counted_when_no_number_stands_under_their_key_any_more(place: Path, w: World) -> None:
    w.authorize()
    for day in range(3):
        w.ask(matter="spring-loan", at=NOW + timedelta(days=day))
    run("rotate_number_key")
    assert w.ruling(matter="spring-loan", at=NOW + timedelta(days=3)) == "block cap_reached"


# --- a process that does not know a key in use ----------------------------------------------------------------

LOOK_UPS: dict[str, Callable[[World], object]] = {
    "a check": lambda w: w.ask_shop(),
    "a verb": lambda w: w.hold(),
    "a look-up": lambda w: actions.number_row(ALICE),
    "an import": lambda w: bulk.register_all([BOB], source=HoldingSource.IMPORT, by=OPERATOR, at=NOW),
}


@pytest.mark.parametrize("name", LOOK_UPS)
def test_without_a_key_in_use_nothing_is_taken_for_unknown(place: Path, w: World, name: str) -> None:
    actions.register(holding=w.hold(), by=SUBSCRIBER, at=START)
    new_key()
    (place / "number" / "2.key").unlink()
    with pytest.raises(CannotRule), transaction.atomic():
        LOOK_UPS[name](w)
    assert Number.objects.count() == 1


@pytest.mark.parametrize("name", LOOK_UPS)
def test_another_key_of_the_same_name_is_not_taken_for_it(place: Path, w: World, name: str) -> None:
    """Two servers that each made a second key of their own."""
    actions.register(holding=w.hold(), by=SUBSCRIBER, at=START)
    new_key()
    (place / "number" / "2.key").write_bytes(keys.new_number_key())
    keys.reread()
    with pytest.raises(CannotRule), transaction.atomic():
        LOOK_UPS[name](w)


def test_without_any_key_in_use_nothing_is_ruled(place: Path, w: World) -> None:
    KeyInUse.objects.update(ends=datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(CannotRule), transaction.atomic():
        w.ask_shop()


def test_a_firm_is_told_to_try_again(place: Path, all_day: World, client: Client) -> None:
    new_key()
    (place / "number" / "2.key").unlink()
    answer = client.post(
        "/api/v1/checks",
        {"callee": "13800138000", "caller": "010 6552 9988", "purpose": "loan_finance", "channel": "voice"},
        content_type="application/json",
        headers={"authorization": f"Bearer {all_day.key}"},
    )
    assert (answer.status_code, answer.json()["code"]) == (503, "cannot_rule")
    assert answer["Retry-After"]
    assert client.get("/readyz").json()["parts"]["keys"] != "ok"


@pytest.mark.parametrize("folder", ["number", "receipt"])
def test_without_readable_keys_a_firm_is_told_to_try_again(
    place: Path, all_day: World, client: Client, folder: str
) -> None:
    for path in (place / folder).iterdir():
        path.write_bytes(b"")
        path.rename(path.with_name(path.name.replace("1", "7")))
    answer = client.post(
        "/api/v1/checks",
        {"callee": "13800138000", "caller": "010 6552 9988", "purpose": "loan_finance", "channel": "voice"},
        content_type="application/json",
        headers={"authorization": f"Bearer {all_day.key}"},
    )
    assert (answer.status_code, answer.json()["code"]) == (503, "cannot_rule")
    assert str(place) not in answer.content.decode()


def test_a_process_that_remembers_another_key_reads_again(
    place: Path, w: World, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    rotation.next_number_key()
    right = (place / "number" / "2.key").read_bytes()
    (place / "number" / "2.key").write_bytes(keys.new_number_key())
    remembered = keys.pseudonymizer()
    (place / "number" / "2.key").write_bytes(right)
    assert keys.pseudonymizer() is remembered
    KeyInUse.objects.create(pk=2, starts=START, proof=keys.reread().proof(2))
    keys._memory["number"] = keys._memory["number"]._replace(keys=remembered)
    with django_assert_num_queries(2):
        facts.gather(sale(w), [ALICE], NOW)
    with django_assert_num_queries(1):
        facts.gather(sale(w), [ALICE], NOW)


# --- moving numbers -----------------------------------------------------------------------------------------


@pytest.fixture
def registered(place: Path, w: World) -> World:
    """Half of everybody is registered, the other half is known."""
    bulk.register_all(EVERYBODY[::2], source=HoldingSource.IMPORT, by=OPERATOR, at=START)
    for number in EVERYBODY[1::2]:
        w.hold(number)
    return w


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "CHUNK", 7)
    monkeypatch.setattr(rotation, "PAUSE", 0)


def assert_all_as_they_were(w: World) -> None:
    callees = facts.gather(sale(w), EVERYBODY, NOW).callees
    assert [bool(callees[number].registered) for number in EVERYBODY] == [True, False] * (len(EVERYBODY) // 2)
    assert Number.objects.count() == len(EVERYBODY)


@pytest.mark.usefixtures("small_chunks")
def test_all_numbers_move_and_stay_who_they_are(registered: World, capsys: pytest.CaptureFixture[str]) -> None:
    ids = {number: number_id(number) for number in EVERYBODY}
    run("rotate_number_key")
    assert set(Number.objects.values_list("key", flat=True)) == {2}
    assert {number: number_id(number) for number in EVERYBODY} == ids
    assert_all_as_they_were(registered)
    assert stored_numbers.keys_in_use().keys() == {2}
    said = capsys.readouterr()
    assert re.search(r"No number stands under key 1 any more.*keep its file until \d{4}-\d\d-\d\d", said.out)
    assert f"{len(EVERYBODY)}/{len(EVERYBODY)}" not in said.err  # a bar is for terminals


def number_id(number: PhoneNumber) -> int:
    row = actions.number_row(number)
    assert row is not None
    return row.pk


@pytest.mark.usefixtures("small_chunks")
def test_half_moved_all_are_found_and_the_next_run_goes_on(registered: World) -> None:
    new_key()
    moving = rotation.sweep(1)
    next(moving), next(moving)
    assert Number.objects.filter(key=2).count() == 14
    assert_all_as_they_were(registered)
    moving.close()
    run("rotate_number_key")
    assert_all_as_they_were(registered)
    assert list(KeyInUse.objects.filter(ends=None).values_list("pk", flat=True)) == [2]
    assert [file.id for file in keys.files("number")] == [1, 2]


@pytest.mark.usefixtures("small_chunks")
def test_two_who_move_at_once_do_not_undo_each_other(registered: World) -> None:
    new_key()
    one, other = rotation.sweep(1), rotation.sweep(1)
    next(one), next(other), next(one)
    assert sum(one) + sum(other) <= len(EVERYBODY)
    assert rotation.left_under(1) == 0
    assert_all_as_they_were(registered)


def test_a_key_can_be_made_ahead_and_is_used_by_the_next_run(place: Path, registered: World) -> None:
    run("rotate_number_key", "--make-only")
    run("rotate_number_key", "--make-only")
    assert listing(place / "number") == ["1.key", "2.key"]
    assert rotation.left_under(1) == len(EVERYBODY)
    run("rotate_number_key")
    assert rotation.left_under(2) == len(EVERYBODY)
    assert listing(place / "number") == ["1.key", "2.key"]


def test_no_key_is_made_while_numbers_move(registered: World) -> None:
    new_key()
    with pytest.raises(Refused) as refusal:
        run("rotate_number_key", "--make-only")
    assert refusal.value.code == "rotation_under_way"


def test_a_key_can_be_rotated_again_and_again(place: Path, registered: World) -> None:
    for _round in range(3):
        run("rotate_number_key")
    (place / "number" / "1.key").unlink()
    (place / "number" / "2.key").unlink()
    assert rotation.left_under(4) == len(EVERYBODY)
    assert_all_as_they_were(registered)


def test_what_the_old_key_does_not_open_is_not_moved(place: Path, registered: World) -> None:
    """The first key has no proof in the database: with another in its place all numbers would be lost for good."""
    (place / "number" / "1.key").write_bytes(keys.new_number_key())
    keys.reread()
    before = list(Number.objects.order_by("pk").values_list("pk", "key"))
    with pytest.raises(Refused) as refusal:
        run("rotate_number_key")
    assert refusal.value.code == "number_unreadable"
    assert list(Number.objects.order_by("pk").values_list("pk", "key")) == before


@given(st.lists(st.one_of(st.just("rotate"), st.just("move"), st.integers(0, 5), st.integers(0, 5)), max_size=25))
@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_in_whatever_order_things_happen_each_number_has_one_row(
    place: Path, w: World, monkeypatch: pytest.MonkeyPatch, acts: list[Any]
) -> None:
    """Numbers are registered, one by one or by import, between keys that come and rows that move."""
    monkeypatch.setattr(rotation, "CHUNK", 2)
    monkeypatch.setattr(rotation, "PAUSE", 0)
    with transaction.atomic():
        said: dict[PhoneNumber, int] = {}
        for turn, act in enumerate(acts):
            if act == "rotate" and not rotation.retiring():
                new_key()
            elif act == "move" and rotation.retiring():
                (old,) = rotation.retiring()
                next(rotation.sweep(old), None)
                if not rotation.left_under(old):
                    rotation.close(old, at=datetime.now(UTC) + timedelta(days=1))
            elif isinstance(act, int):
                number = EVERYBODY[act]
                if turn % 2:
                    actions.register(holding=w.hold(number), by=SUBSCRIBER, at=START)
                else:
                    bulk.register_all([number, EVERYBODY[0]], source=HoldingSource.IMPORT, by=OPERATOR, at=START)
                    said.setdefault(EVERYBODY[0], 0)
                said[number] = number_id(number)
            callees = facts.gather(sale(w), EVERYBODY[:6], NOW).callees
            assert {number for number in callees if callees[number].registered} == set(said)
        assert Number.objects.count() == Holding.objects.count() == Registration.objects.count() == len(said)
        transaction.set_rollback(True)


# --- several at once, on connections of their own -----------------------------------------------------------------


def alone(act: Callable[[], Any]) -> Any:
    """By a connection of its own, which is closed afterwards."""
    try:
        return act()
    finally:
        connection.close()


if connection.vendor == "postgresql":  # SQLite has one writer at a time

    def test_a_key_is_announced_when_nobody_adds_numbers(place: Path, committed: World) -> None:
        """Who only knew the old key writes under it, and the new one begins after that."""
        rotation.next_number_key()
        with ThreadPoolExecutor(2) as others:
            with transaction.atomic():
                committed.hold(ALICE)
                announced = others.submit(alone, lambda: rotation.announce(2, at=START))
                with pytest.raises(StillWaiting):
                    announced.result(timeout=0.5)
                # Who comes later waits for the announcement, and then finds what was written before it.
                # It has looked for ALICE before there was a row of hers to see.
                later = others.submit(
                    alone, lambda: (committed.hold(ALICE).number_id, committed.hold(CAROL).number.key)
                )
                with pytest.raises(StillWaiting):
                    later.result(timeout=0.5)
            announced.result(timeout=10)
            assert later.result(timeout=10) == (number_id(ALICE), 2)
        assert [row.key for row in Number.objects.order_by("pk")] == [1, 2]  # one of ALICE, one of CAROL

    def test_reading_waits_for_nobody(place: Path, committed: World) -> None:
        rotation.next_number_key()
        with ThreadPoolExecutor(1) as other, transaction.atomic():
            rotation.announce(2, at=START)
            asked = other.submit(alone, lambda: facts.gather(sale(committed), [ALICE], NOW).pseudonyms.current.id)
            assert asked.result(timeout=5) == 1

    def test_rows_that_somebody_holds_are_moved_later(place: Path, committed: World) -> None:
        for number in EVERYBODY:
            committed.hold(number)
        new_key()
        with ThreadPoolExecutor(1) as other:
            with transaction.atomic():
                Number.objects.select_for_update().get(pk=number_id(EVERYBODY[3]))
                moving = rotation.sweep(1)
                assert other.submit(alone, lambda: next(moving)).result(timeout=5) == len(EVERYBODY) - 1
            assert other.submit(alone, lambda: sum(moving)).result(timeout=5) == 1


def test_many_who_meet_numbers_while_the_key_changes_make_one_row_each(
    place: Path,
    committed: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One by one and as an import does, on connections of their own, while two keys come and all rows move."""
    on_sqlite = connection.vendor == "sqlite"
    monkeypatch.setattr(rotation, "CHUNK", 60 if on_sqlite else 5)
    over = Flag()
    crowd = [PhoneNumber(f"+86139{index:08}") for index in range(300)]

    def meets(seed: int) -> int:
        random, done = Random(seed), 0
        while not over.is_set():
            if seed % 2:
                number = random.choice(crowd[seed // 2 :: 2])
                actions.register(holding=committed.hold(number), by=SUBSCRIBER, at=START)
                assert facts.gather(sale(committed), [number], NOW).callees[number].registered
            else:
                with transaction.atomic():
                    bulk._meet_all(sorted(random.sample(crowd, 5)))
            done += 1
            time.sleep(0.05 if on_sqlite else 0)  # SQLite's one writer at a time is whoever asks first again
        return done

    with ThreadPoolExecutor(4) as others:
        running = [others.submit(alone, partial(meets, seed)) for seed in range(4)]
        try:
            for _round in range(2):
                run("rotate_number_key")
        finally:
            over.set()
        assert min(each.result(timeout=30) for each in running) > 0
    newest = keys.pseudonymizer()
    rows = [newest.reveal(row.key, bytes(row.pseudonym)) for row in Number.objects.all()]
    assert len(rows) == len(set(rows)) > 20
    assert Registration.objects.count() == Holding.objects.count()
    assert set(Number.objects.values_list("key", flat=True)) == {3}
