"""How much one firm may ask in a minute. Counted in the shared cache; truth is not there, so it may be wiped.

While the cache is down each worker counts by itself, and grants its share of the limit (design §9).
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from django.conf import settings
from django.core.cache import BaseCache, caches
from django.utils.translation import gettext_lazy as _
from redis.exceptions import RedisError

from dncregistry.errors import Refused

WINDOW = 60  # seconds


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a limit in the present window."""

    name: str
    limit: int
    left: int
    reset: int  # seconds until the window ends

    def headers(self) -> dict[str, str]:
        """After draft-ietf-httpapi-ratelimit-headers."""
        return {
            "RateLimit-Policy": f'"{self.name}";q={self.limit};w={WINDOW}',
            "RateLimit": f'"{self.name}";r={self.left};t={self.reset}',
        }


class TooMany(Refused):
    status = 429

    def __init__(self, allowance: Allowance) -> None:
        super().__init__("rate_limited", _("Too many requests in this minute. Wait as long as Retry-After says."))
        self.allowance = allowance

    def headers(self) -> dict[str, str]:
        return {**self.allowance.headers(), "Retry-After": str(self.allowance.reset)}


def spend(name: str, who: str, *, cost: int = 1) -> Allowance:
    """Takes `cost` of the limit `name` from `who` (a firm's id, or an address). Raises `TooMany`.

    What is refused is not taken: a firm that waits is not punished for having asked.
    """
    limit = settings.RATE_LIMITS[name]
    now = int(time.time())
    window, reset = now // WINDOW, WINDOW - now % WINDOW
    key = f"rate:{name}:{who}:{window}"
    try:
        spent = _add(caches["default"], key, cost)
        cache = caches["default"]
    except RedisError:
        limit = max(1, limit // settings.WEB_WORKERS)
        spent = _add(caches["worker"], key, cost)
        cache = caches["worker"]
    if spent > limit:
        cache.decr(key, cost)
        raise TooMany(Allowance(name, limit, max(0, limit - spent + cost), reset))
    return Allowance(name, limit, limit - spent, reset)


def _add(cache: BaseCache, key: str, cost: int) -> int:
    """The count after adding; adding is atomic in either cache."""
    cache.add(key, 0, timeout=2 * WINDOW)
    return int(cache.incr(key, cost))
