"""What is sealed when written is what is read back, on either database; and nothing that a row says is left out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consents import bulk
from consents.management.commands.demo import numbers
from consents.models import AllowDay, CheckRecord
from consents.terms import HoldingSource
from record import audit, ledger, seals
from record.ledger import OPERATOR, Actor
from record.models import Event
from record.terms import ActorKind, Verb
from telemarketers.models import Policy
from tests.record.test_guards import EXAMPLES, tried
from tests.world import NOW, World

# What both databases take in JSON: no NUL, no half of a surrogate pair; numbers of 64 bits.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
DOCUMENTS = st.dictionaries(
    TEXT,
    st.recursive(SCALARS | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=8),
    max_size=4,
)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=8))])
INSTANTS = st.builds(
    lambda after, zone: (datetime(2020, 1, 1, tzinfo=UTC) + after).astimezone(zone),
    st.timedeltas(timedelta(0), timedelta(days=7000)),
    ZONES,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=DOCUMENTS, version=TEXT, starts=INSTANTS, actor=st.none() | st.integers(-(2**63), 2**63 - 1))
def test_what_is_sealed_when_written_fits_when_read(
    w: World, document: dict[str, Any], version: str, starts: datetime, actor: int | None
) -> None:
    with tried():
        policy = Policy.objects.create(version=version, starts=starts, published_at=starts, document=document)
        ledger.record(Verb.POLICY_PUBLISHED, of=policy, by=Actor(ActorKind.STAFF, actor), at=starts)
        policy.refresh_from_db()
        ledger.record(Verb.POLICY_PUBLISHED, of=policy, by=OPERATOR, at=starts)
        assert list(audit.in_rows(connection)) == []


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(client_ref=TEXT, ahead=st.timedeltas(timedelta(0), timedelta(hours=23)))
def test_a_check_that_is_sealed_when_written_fits_when_read(w: World, client_ref: str, ahead: timedelta) -> None:
    shanghai = (NOW + ahead).astimezone(timezone(timedelta(hours=8)))
    with tried():
        w.ask(client_ref=client_ref, for_time=shanghai)
        assert list(audit.in_rows(connection)) == []


def test_rows_by_the_thousand_have_the_seals_that_they_would_have_one_by_one(w: World) -> None:
    bulk.register_all(numbers(20), source=HoldingSource.IMPORT, by=OPERATOR, at=NOW.replace(microsecond=7))
    made = Event.objects.filter(object_kind__in=["holding", "registration"])
    assert made.count() == 40
    for event in made:
        assert bytes(event.seal) == seals.sealer().seal(seals.canonical_of(event))


def test_an_event_covers_the_one_before_it(w: World) -> None:
    first = Event.objects.filter(object_kind="matter").earliest("id")
    second = Event.objects.get(object_kind="matter", object_id=first.object_id, id__gt=first.pk)
    assert bytes(second.seal) == seals.sealer().seal(seals.canonical_of(second, bytes(first.seal).hex()))


def test_a_seal_covers_all_but_itself_and_a_number_given_later(w: World) -> None:
    every = {field.attname for field in CheckRecord._meta.concrete_fields}
    assert set(seals.sealed(CheckRecord)) == every - {"seal"}
    assert set(seals.sealed(Event)) == {field.attname for field in Event._meta.concrete_fields} - {"seal"}
    assert set(seals.sealed(AllowDay)) == {field.attname for field in AllowDay._meta.concrete_fields} - {"seal", "id"}


def test_the_same_values_in_another_table_have_another_seal() -> None:
    image = dict.fromkeys({*seals.sealed(Event), *seals.sealed(AllowDay)}, 1)
    assert seals.canonical(Event, image) != seals.canonical(AllowDay, image)


@pytest.mark.parametrize("made", ["", "zz", "01", "02" + "00" * 16, "no such value: int 5"])
def test_what_is_no_seal_fits_nothing(db: None, made: str) -> None:
    assert not seals.sealer().fits(made, b"text")


def test_a_seal_fits_its_text_alone(w: World) -> None:
    row = EXAMPLES[CheckRecord](w)
    text = seals.canonical_of(row)
    made = seals.sealer().seal(text)
    assert len(made) == seals.LENGTH
    assert seals.sealer().fits(made.hex(), text)
    assert not seals.sealer().fits(made.hex(), text + b" ")


def test_a_mould_is_filled_where_it_has_holes() -> None:
    mould = seals.mould(orjson.dumps(["100 %", "?one", {"a": "?two"}]), {"?one": b"%(one)d", "?two": b"%(two)b"})
    assert mould % {b"one": 1, b"two": b'"x"'} == b'["100 %",1,{"a":"x"}]'
