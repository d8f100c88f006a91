"""What an audit can find: the kinds of difference, and how one is told."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext_lazy as _

from record.masking import mask_numbers

if TYPE_CHECKING:
    from dncregistry.errors import Text

SHOWN: Final = 200  # characters of a long value


class What(StrEnum):
    ROW_DIFFERS = "row_differs"
    NO_EVENT = "no_event"
    NO_ROW = "no_row"
    UNKNOWN_KIND = "unknown_kind"
    BROKEN_SEAL = "broken_seal"
    INCOMPLETE = "incomplete"
    BREAKS_RULE = "breaks_rule"
    OVERLAPS = "overlaps"
    TWICE = "twice"
    POINTS_NOWHERE = "points_nowhere"
    UNREADABLE = "unreadable"
    UNKNOWN_KEY = "unknown_key"
    DEFINITION = "definition"
    SWITCHED_OFF = "switched_off"


SENTENCES: Final[dict[What, Text]] = {
    What.ROW_DIFFERS: _("the row is not as its latest event left it"),
    What.NO_EVENT: _("the row has no event"),
    What.NO_ROW: _("the object has events and no row"),
    What.UNKNOWN_KIND: _("the event is about a kind of object that there is not"),
    What.BROKEN_SEAL: _("the seal does not fit: this was changed or put in, or, of events, the one before it removed"),
    What.INCOMPLETE: _("rows that belong to it were removed or put in"),
    What.BREAKS_RULE: _("the row breaks a rule of its table"),
    What.OVERLAPS: _("the row is in force at the same time as another"),
    What.TWICE: _("more than one row has what only one may have"),
    What.POINTS_NOWHERE: _("the row that this one names is not there"),
    What.UNREADABLE: _("no key that is here reads the number"),
    What.UNKNOWN_KEY: _("the numbers were stored under a key that is not here"),
    What.DEFINITION: _("the database does not define this as the models do"),
    What.SWITCHED_OFF: _("a trigger is switched off"),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as the record says: of which object, in which field, what is recorded and what is found.

    Neither value ever shows a pseudonym, a digest or a number.
    """

    what: What
    kind: str
    id: str
    field: str = ""
    recorded: str | None = None
    found: str | None = None

    def __str__(self) -> str:
        where = " ".join(filter(None, (self.kind, self.id, self.field)))
        line = f"{self.what} {where}: {SENTENCES[self.what]}"
        if self.recorded is None and self.found is None:
            return line
        return f"{line}: {self.recorded or '—'} | {self.found or '—'}"

    def as_json(self) -> str:
        return json.dumps({**asdict(self), "says": str(SENTENCES[self.what])}, ensure_ascii=False)


def shown(value: Any) -> str:
    """A plain value as a difference may show it."""
    return mask_numbers(json.dumps(value, ensure_ascii=False, default=str))[:SHOWN]
