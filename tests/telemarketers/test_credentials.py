"""How a key looks, how it is presented, and whose it is."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dncregistry.errors import Refused
from record.ledger import OPERATOR
from telemarketers import credentials
from telemarketers.actions import firms
from telemarketers.credentials import Forbidden, KeyInQuery, Unauthenticated
from telemarketers.models import Credential
from telemarketers.terms import Mode, Scope
from tests import world
from tests.world import NOW, START, World

# --- what a key is -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", Mode)
def test_a_new_key_says_what_it_is_for(mode: Mode) -> None:
    key = credentials.new_key(mode)
    assert credentials.KEY.fullmatch(key)
    assert key.startswith(f"dnc_{mode.value}_")


def test_no_two_keys_are_alike() -> None:
    assert len({credentials.new_key(Mode.LIVE) for _time in range(1000)}) == 1000


# --- how it is presented -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header", ["Bearer dnc_live_x", "bearer dnc_live_x", "BEARER   dnc_live_x", "Bearer dnc_live_x "]
)
def test_a_bearer_header_presents_a_key(header: str) -> None:
    assert credentials.presented(header) == "dnc_live_x"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic dnc_live_x", "dnc_live_x", "Token dnc_live_x"])
def test_any_other_header_presents_none(header: str) -> None:
    with pytest.raises(Unauthenticated) as refusal:
        credentials.presented(header)
    assert (refusal.value.code, refusal.value.status) == ("no_key", 401)
    assert refusal.value.headers() == {"WWW-Authenticate": "Bearer"}


@pytest.mark.parametrize(
    "query", ["key=dnc_live_x", "a=1&token=dnc_test_x", "dnc_live_", "k=dnc%5Flive_x", "k=dnc%255Flive_x"]
)
def test_a_key_in_an_address_is_refused(query: str) -> None:
    with pytest.raises(KeyInQuery) as refusal:
        credentials.refuse_in_address(query)
    assert (refusal.value.code, refusal.value.status) == ("key_in_query", 400)


def test_the_refusal_does_not_repeat_the_key() -> None:
    with pytest.raises(Refused) as refusal:
        credentials.refuse_in_address("key=dnc_live_SECRET")
    assert "SECRET" not in str(refusal.value)


# --- whose it is -------------------------------------------------------------------------------------


def test_a_key_in_force_is_its_firms(w: World) -> None:
    assert credentials.authenticate(w.key, NOW).firm == w.loans


def invalid(key: str, w: World) -> str:
    with pytest.raises(Unauthenticated) as refusal:
        credentials.authenticate(key, NOW)
    assert (refusal.value.code, refusal.value.status) == ("invalid_key", 401)
    return str(refusal.value.detail)


def test_a_revoked_key_is_nobodys_from_that_instant(w: World) -> None:
    firms.revoke_credential(credential=w.credential, by=OPERATOR, at=NOW)
    invalid(w.key, w)
    assert credentials.authenticate(w.key, NOW - timedelta(microseconds=1)) == w.credential


def test_an_expired_key_is_nobodys(w: World) -> None:
    Credential.objects.filter(pk=w.credential.pk).update(ends=NOW)
    invalid(w.key, w)


def test_a_key_that_has_not_begun_is_nobodys(w: World) -> None:
    _credential, key = world.issue(w.loans, NOW + timedelta(seconds=1))
    invalid(key, w)


@pytest.mark.parametrize("key", ["", "dnc_live_", "dnc_live_short", "DNC_LIVE_" + "A" * 32, "dnc_live_" + "é" * 32])
def test_what_does_not_look_like_a_key_is_nobodys(w: World, key: str) -> None:
    invalid(key, w)


def test_what_looks_like_a_key_and_is_unknown_is_nobodys(w: World) -> None:
    invalid(credentials.new_key(Mode.LIVE), w)


def test_a_live_key_does_not_pass_for_a_test_key(w: World) -> None:
    invalid(w.key.replace("dnc_live_", "dnc_test_"), w)


def test_unknown_revoked_and_expired_are_not_told_apart(w: World) -> None:
    firms.revoke_credential(credential=w.credential, by=OPERATOR, at=START)
    assert invalid(w.key, w) == invalid(credentials.new_key(Mode.LIVE), w) == invalid("nonsense", w)


# --- what it may be used for -------------------------------------------------------------------------


@pytest.mark.parametrize("scope", Scope)
def test_a_key_may_be_used_for_its_scopes(w: World, scope: Scope) -> None:
    credential, _key = world.issue(w.loans, NOW, scopes=[scope])
    credentials.demand_scope(credential, scope)


@pytest.mark.parametrize("scope", Scope)
def test_a_key_is_of_no_use_beyond_its_scopes(w: World, scope: Scope) -> None:
    credential, _key = world.issue(w.loans, NOW, scopes=set(Scope) - {scope})
    with pytest.raises(Forbidden) as refusal:
        credentials.demand_scope(credential, scope)
    assert (refusal.value.code, refusal.value.status) == ("scope_missing", 403)
    assert f"“{scope.value}”" in str(refusal.value.detail)
