"""How much one firm may ask in a minute. Counted in the shared cache; truth is not there, so it may be wiped.

While the cache is down each worker counts single questions by itself, and grants its share of the limit.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from django.conf import settings
from django.core.cache import BaseCache, caches
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from redis.exceptions import RedisError

from dncregistry.errors import CannotRule, Refused

WINDOW = 60  # seconds
# So long a cache that failed is left alone: one that is frozen costs its time-out each time it is asked.
SPARED = 5  # seconds


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


def spend(name: str, who: str, *, cost: int = 1, bulk: bool = False) -> Allowance:
    """Takes `cost` of the limit `name` from `who` (a firm's id, or an address). Raises `TooMany`.

    What is refused is not taken: a firm that waits is not punished for having asked. While the cache is down, single
    questions go on with the worker's share of the limit, and `bulk` ones are not ruled on (`CannotRule`).
    """
    limit = settings.RATE_LIMITS[name]
    now = int(time.time())
    window, reset = now // WINDOW, WINDOW - now % WINDOW
    key = f"rate:{name}:{who}:{window}"
    if not caches["worker"].get("shared-cache-failed"):
        try:
            return _take(caches["default"], key, Allowance(name, limit, 0, reset), cost)
        except ValueError:  # it was wiped between two of our steps
            pass
        except RedisError:
            caches["worker"].set("shared-cache-failed", True, timeout=SPARED)
    if bulk:
        raise CannotRule(_("The registry is short of a part that bulk questions need. Ask again shortly."))
    share = max(1, limit // settings.WEB_WORKERS)
    return _take(caches["worker"], key, Allowance(name, share, 0, reset), cost)


def address(request: HttpRequest) -> str:
    """Where a request without a key comes from: as the outermost of our own proxies saw it, else the peer."""
    seen = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    if 0 < settings.TRUSTED_PROXIES <= len(seen):
        return str(seen[-settings.TRUSTED_PROXIES]).strip()
    return str(request.META.get("REMOTE_ADDR", ""))


def _take(cache: BaseCache, key: str, whole: Allowance, cost: int) -> Allowance:
    """Counting is atomic in either cache; what goes past the limit is given back."""
    cache.add(key, 0, timeout=2 * WINDOW)
    spent = int(cache.incr(key, cost))
    if spent > whole.limit:
        cache.decr(key, cost)
        raise TooMany(replace(whole, left=max(0, whole.limit - spent + cost)))
    return replace(whole, left=whole.limit - spent)
