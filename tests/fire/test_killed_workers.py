"""Workers are killed where it hurts most, and what is owed is sent all the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from record import clock, notices
from record.models import Notice
from record.notices import LEASE
from tests.record.test_notices import GRANTED, Outbox, say
from tests.running import ROOT, environment, wait_for
from tests.world import NOW, START, World

pytestmark = pytest.mark.slow

# Says what it sends, and then never comes back from sending it.
WORKER = """
import sys, time
from pathlib import Path
import django
django.setup()
from record import clock, notices
from tests.record.test_notices import GRANTED, Outbox, say

outbox = Outbox(meanwhile=lambda: (Path(sys.argv[1]).write_text(str(outbox.ids[-1])), time.sleep(60)))
notices.deliver_due({GRANTED: say}, outbox, clock=clock.now)
"""


def test_a_worker_killed_while_sending_is_followed_by_another_with_the_same_id(
    committed: World,
    tmp_path: Path,
) -> None:
    notices.owe(committed.loans, {GRANTED: START}, at=START)
    sending = tmp_path / "sending"
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(sending)], cwd=ROOT, env=environment())
    try:
        wait_for(lambda: sending.exists() and sending.read_text(), within=30)
    finally:
        worker.kill()
        worker.wait(10)

    outbox = Outbox()
    now = clock.now()
    assert notices.deliver_due({GRANTED: say}, outbox, clock=lambda: now) == 0, "it is still leased"
    after = now + LEASE
    assert notices.deliver_due({GRANTED: say}, outbox, clock=lambda: after) == 1
    assert outbox.ids == [UUID(sending.read_text())]
    notice = Notice.objects.get()
    assert (notice.attempts, notice.sent_at) == (2, after)


def test_what_a_worker_took_and_never_came_to_is_sent_by_another(w: World) -> None:
    notices.owe(w.loans, {GRANTED: START}, at=START)
    Notice.objects.update(attempts=1, leased_until=NOW)
    outbox = Outbox()
    assert notices.deliver_due({GRANTED: say}, outbox, clock=lambda: NOW) == 1
    assert Notice.objects.get().attempts == 2
