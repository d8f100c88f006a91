"""What is raised when something cannot be done, and what every door may rely on.

"No" is an answer (a blocked call is a ruling); "can't" is an exception from here.
Only a door turns one into a response. Nothing here knows HTTP beyond a status code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

    Text = str | _StrPromise


class Refused(Exception):
    """A request that cannot be carried out, with a stable `code` and, where one is to blame, a `field`.

    `detail` is a sentence for people: what is wrong and what to do about it. It may be lazily
    translated. It never holds a subscriber's number.
    """

    status = 422

    def __init__(self, code: str, detail: Text, *, field: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.field = field

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"

    def headers(self) -> dict[str, str]:
        """What an HTTP answer says beside the body."""
        return {}


class NotFound(Refused):
    """The thing named does not exist, or is not one's own: the two are told apart to nobody."""

    status = 404


class CannotRule(Refused):
    """The registry cannot give a ruling now. The call is not allowed; asking again later may help (law 3)."""

    status = 503
    retry_after = 2  # seconds

    def __init__(self, detail: Text) -> None:
        super().__init__("cannot_rule", detail)

    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}
