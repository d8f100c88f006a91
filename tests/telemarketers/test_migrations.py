"""What is there when a migration comes is carried over, with its events, and back again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection

from record import guards
from record.ledger import OPERATOR
from record.models import Event
from record.numbers import PhoneNumber
from telemarketers.actions import firms
from telemarketers.models import CallingNumber
from tests.record.test_ledger import untraced
from tests.world import LOANS_LINE, NOW, START, World

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _migrated_again(committed: World) -> Iterator[None]:
    """Not in a transaction: SQLite remakes no table inside one."""
    yield
    call_command("migrate", verbosity=0)


def test_calling_numbers_are_carried_over_and_back(committed: World) -> None:
    waiting = firms.submit_calling_number(
        firm=committed.loans, number=PhoneNumber("+861065529977"), display_name="", by=OPERATOR, at=NOW
    )

    call_command("migrate", "telemarketers", "0002", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT number FROM telemarketers_callingnumber WHERE ends IS NULL AND starts IS NOT NULL")
        assert {number for (number,) in cursor.fetchall()} >= {LOANS_LINE}
        columns = connection.introspection.get_table_description(cursor, "telemarketers_callingnumber")
        assert "submitted_at" not in {column.name for column in columns}
    call_command("migrate", verbosity=0)

    assert guards.missing(connection) == []
    assert untraced() == []
    kept = CallingNumber.objects.get(number=LOANS_LINE)
    assert (kept.submitted_at, kept.starts, kept.ends) == (START, START, None)
    given_up = CallingNumber.objects.get(pk=waiting.pk)
    assert (given_up.submitted_at, given_up.starts, given_up.ends) == (NOW, NOW, NOW)
    assert not CallingNumber.objects.in_force(NOW + timedelta(days=1)).filter(pk=waiting.pk).exists()
    assert Event.objects.latest("id").verb == "row.carried_over"


def test_a_table_that_is_gone_needs_no_guard(committed: World) -> None:
    call_command("migrate", "telemarketers", "0001", verbosity=0)
    call_command("migrate", verbosity=0)

    assert guards.missing(connection) == []
