"""Tasks run on terms that lose nothing, and of several beats one ticks."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from dncregistry.celery import SCHEDULE, app
from record import beat
from record.models import BeatLease
from tests.running import ROOT, environment, wait_for
from tests.world import NOW

TASKS = {entry["task"] for entry in SCHEDULE.values()}


# --- terms -------------------------------------------------------------------------------------------


def test_every_task_is_scheduled_and_every_scheduled_task_is_there() -> None:
    app.loader.import_default_modules()
    assert {name for name in app.tasks if name.startswith(("record.", "telemarketers.", "consents."))} == TASKS


def test_a_message_is_of_no_use_after_the_next_one() -> None:
    for entry in SCHEDULE.values():
        assert entry["options"]["expires"] == entry["schedule"]


def test_notices_are_looked_at_every_few_seconds() -> None:
    assert 10 <= SCHEDULE["notices"]["schedule"] <= 15


def test_a_killed_worker_gives_its_message_back_and_no_result_is_kept() -> None:
    conf = app.conf
    assert conf.task_acks_late and conf.task_reject_on_worker_lost
    assert conf.worker_prefetch_multiplier == 1
    assert conf.task_ignore_result and not conf.result_backend
    assert not conf.task_publish_retry
    assert [conf.task_serializer, *conf.accept_content] == ["json", "json"]
    assert conf.enable_utc and str(conf.timezone) == "UTC"
    assert conf.task_soft_time_limit < conf.task_time_limit


@pytest.mark.slow
def test_lines_of_workers_are_masked(tmp_path: Path) -> None:
    script = (
        "import logging\n"
        "from dncregistry.celery import app\n"
        "app.loader.import_default_modules()\n"
        "app.log.setup(logging.INFO, redirect_stdouts=True)\n"
        "logging.getLogger('celery.worker').error('lost 13800138000')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "VAR_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "lost 138****8000" in done.stderr
    assert "13800138000" not in done.stderr + done.stdout


# --- the lease -----------------------------------------------------------------------------------------


def test_one_holds_the_lease_and_prolongs_it(db: None) -> None:
    assert beat.last_tick() is None
    assert beat.take("a", at=NOW)
    assert not beat.take("b", at=NOW)
    assert beat.take("a", at=NOW + timedelta(seconds=5))
    assert beat.last_tick() == NOW + timedelta(seconds=5)


def test_who_stands_by_takes_over_when_the_term_is_over(db: None) -> None:
    beat.take("a", at=NOW)
    end = NOW + beat.TERM
    assert not beat.take("b", at=end - timedelta(microseconds=1))
    assert beat.take("b", at=end)
    assert not beat.take("a", at=end)


def test_what_is_given_back_is_free_at_once(db: None) -> None:
    beat.take("a", at=NOW)
    beat.give_back("b", at=NOW)
    assert not beat.take("b", at=NOW)
    beat.give_back("a", at=NOW)
    assert beat.take("b", at=NOW)


def test_standing_by_is_no_tick(db: None) -> None:
    beat.take("a", at=NOW)
    beat.take("b", at=NOW + timedelta(seconds=1))
    assert beat.last_tick() == NOW


# --- two beats -----------------------------------------------------------------------------------------


@contextmanager
def beating(environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "celery", "--quiet", "--app", "dncregistry", "beat", "--loglevel", "WARNING"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def sent(var: Path) -> Counter[str]:
    """How often each task was sent to the embedded broker in that folder."""
    file = var / "tasks.sqlite3"
    if not file.exists():
        return Counter()
    with closing(sqlite3.connect(file, timeout=5)) as broker:
        try:
            messages = broker.execute("SELECT payload FROM kombu_message").fetchall()
        except sqlite3.OperationalError:  # no table yet
            return Counter()
    return Counter(task for task in TASKS for (message,) in messages if f'"{task}"' in message)


@pytest.mark.slow
@pytest.mark.usefixtures("committed")
def test_of_two_beats_one_ticks_and_the_other_takes_over(tmp_path: Path) -> None:
    shared = environment(VAR_DIR=str(tmp_path))
    once, twice = Counter(dict.fromkeys(TASKS, 1)), Counter(dict.fromkeys(TASKS, 2))
    with ExitStack() as stack:
        first = stack.enter_context(beating(shared))
        wait_for(lambda: sent(tmp_path) == once, within=30)
        holder = BeatLease.objects.get().holder
        second = stack.enter_context(beating(shared))
        ticked = beat.last_tick()
        assert ticked is not None
        # The second is up and stands by; the first goes on.
        wait_for(lambda: (beat.last_tick() or ticked) > ticked + timedelta(seconds=8), within=30)
        assert BeatLease.objects.get().holder == holder
        assert max(sent(tmp_path).values()) <= 2  # notices are due again, the others are not
        assert sum(sent(tmp_path).values()) <= len(TASKS) + 1

        first.kill()
        wait_for(lambda: BeatLease.objects.get().holder != holder, within=30)
        wait_for(lambda: not twice - sent(tmp_path), within=10)
        assert second.poll() is None


@pytest.mark.slow
@pytest.mark.own_process
def test_a_database_that_fails_means_no_tick_and_no_end(tmp_path: Path) -> None:
    """It has no tables yet; when it has them, beat ticks."""
    alone = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    alone["VAR_DIR"] = str(tmp_path)
    with beating(alone) as process:
        wait_for((tmp_path / "registry.sqlite3").exists, within=30)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2 * beat.STEP)
        assert not sent(tmp_path)
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=alone, timeout=120, check=True)
        wait_for(lambda: sent(tmp_path), within=15)
