"""How much may be asked in a minute, also while the shared cache is down."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import time_machine
from django.core.cache import caches
from pytest_django.fixtures import Settings

from telemarketers import ratelimit
from telemarketers.ratelimit import TooMany, spend

# 20 seconds into a minute.
AT = datetime(2026, 1, 7, 2, 0, 20, tzinfo=UTC)
REDIS_THAT_IS_DOWN = {
    "BACKEND": "django.core.cache.backends.redis.RedisCache",
    "LOCATION": "redis://127.0.0.1:1/0",  # nothing listens on port 1
    "OPTIONS": {"socket_timeout": 0.3, "socket_connect_timeout": 0.3},
}


@pytest.fixture(autouse=True)
def limits(settings: Settings) -> Iterator[None]:
    settings.RATE_LIMITS = {"checks": 3, "batch_numbers": 1000}
    caches["default"].clear()
    caches["worker"].clear()
    with time_machine.travel(AT, tick=False):
        yield
    caches["worker"].clear()


def too_many(name: str = "checks", who: str = "live:1", cost: int = 1) -> TooMany:
    with pytest.raises(TooMany) as refusal:
        spend(name, who, cost=cost)
    assert (refusal.value.code, refusal.value.status) == ("rate_limited", 429)
    return refusal.value


def test_what_is_left_goes_down_to_nothing() -> None:
    assert [spend("checks", "live:1").left for _time in range(3)] == [2, 1, 0]
    too_many()


def test_each_firm_has_its_own() -> None:
    for _time in range(3):
        spend("checks", "live:1")
    assert spend("checks", "live:2").left == 2
    assert spend("checks", "test:1").left == 2


def test_each_limit_is_its_own() -> None:
    for _time in range(3):
        spend("checks", "live:1")
    assert spend("batch_numbers", "live:1", cost=400).left == 600


def test_the_next_minute_is_a_new_one() -> None:
    for _time in range(3):
        spend("checks", "live:1")
    with time_machine.travel(AT.replace(second=59), tick=False):
        too_many()
    with time_machine.travel(AT.replace(minute=1, second=0), tick=False):
        assert spend("checks", "live:1").left == 2


def test_what_is_refused_is_not_taken() -> None:
    spend("batch_numbers", "live:1", cost=600)
    too_many("batch_numbers", cost=500)
    assert spend("batch_numbers", "live:1", cost=400).left == 0


def test_more_than_the_whole_limit_is_never_granted() -> None:
    too_many("batch_numbers", cost=1001)
    assert spend("batch_numbers", "live:1", cost=1000).left == 0


def test_headers_say_what_is_left_and_until_when() -> None:
    assert spend("checks", "live:1").headers() == {
        "RateLimit-Policy": '"checks";q=3;w=60',
        "RateLimit": '"checks";r=2;t=40',
    }


def test_a_refusal_says_when_to_come_back() -> None:
    spend("batch_numbers", "live:1", cost=600)
    assert too_many("batch_numbers", cost=500).headers() == {
        "RateLimit-Policy": '"batch_numbers";q=1000;w=60',
        "RateLimit": '"batch_numbers";r=400;t=40',
        "Retry-After": "40",
    }


def test_threads_at_once_are_granted_no_more_than_the_limit() -> None:
    def granted(_time: int) -> bool:
        try:
            spend("checks", "live:1")
        except TooMany:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(granted, range(40))) <= 3


# --- while the shared cache is down --------------------------------------------------------------------


@pytest.fixture
def redis_is_down(settings: Settings) -> None:
    settings.CACHES = {**settings.CACHES, "default": REDIS_THAT_IS_DOWN}


@pytest.mark.parametrize(
    ("workers", "share"),
    [
        pytest.param(1, 3, id="the-only-worker-has-all"),
        pytest.param(3, 1, id="a-third-of-three"),
        pytest.param(8, 1, id="never-less-than-one"),
    ],
)
def test_each_worker_grants_its_share(settings: Settings, redis_is_down: None, workers: int, share: int) -> None:
    settings.WEB_WORKERS = workers
    assert [spend("checks", "live:1").left for _time in range(share)] == list(reversed(range(share)))
    assert too_many().allowance == ratelimit.Allowance("checks", share, 0, 40)


def test_the_worker_counts_only_what_it_granted_itself(settings: Settings) -> None:
    spend("batch_numbers", "live:1", cost=900)
    settings.CACHES = {**settings.CACHES, "default": REDIS_THAT_IS_DOWN}
    settings.WEB_WORKERS = 2
    assert spend("batch_numbers", "live:1", cost=500).left == 0


def test_a_cache_that_failed_is_left_alone_for_a_while(settings: Settings, redis_is_down: None) -> None:
    spend("checks", "live:1")
    settings.CACHES = {**settings.CACHES, "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

    with time_machine.travel(AT.replace(second=23), tick=False):
        assert spend("checks", "live:1").left == 1  # the worker's own count goes on
    with time_machine.travel(AT.replace(second=26), tick=False):
        assert spend("checks", "live:1").left == 2  # the shared one was not asked until now
