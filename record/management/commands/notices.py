from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from record import clock, notices
from record.models import Notice

# A sweep comes every few seconds; what is still there after so long has met trouble.
LATE = timedelta(minutes=5)


class Command(BaseCommand):
    help = (
        "Show which notices to citizens are owed, which are late, and which were given up, by what they are about and "
        "never by number. Given up ones can be owed again; the next sweep sends them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        again = parser.add_mutually_exclusive_group()
        again.add_argument("--retry", nargs="+", type=UUID, metavar="ID", help="owe these again, that were given up")
        again.add_argument("--retry-dead", action="store_true", help="owe again all that were given up")

    def handle(self, *, retry: list[UUID] | None, retry_dead: bool, **options: Any) -> None:
        at = clock.now()
        dead = Notice.objects.filter(dead_at__isnull=False).order_by("dead_at")
        if retry or retry_dead:
            again = notices.owe_again(retry or list(dead.values_list("pk", flat=True)), at=at)
            self.stdout.write(_("{count} owed again.").format(count=again))
            return
        unsettled = Notice.objects.unsettled()
        late = unsettled.filter(due_at__lte=at - LATE).order_by("due_at")
        self.stdout.write(
            _("{owed} owed, of which {due} are due and {late} are late; {dead} were given up.").format(
                owed=unsettled.count(),
                due=unsettled.filter(due_at__lte=at).count(),
                late=late.count(),
                dead=dead.count(),
            )
        )
        for notice in late:
            self._show(notice, _("late, due {at}").format(at=_local(notice.due_at)))
        for notice in dead:
            self._show(notice, _("given up {at}").format(at=_local(notice.dead_at)))

    def _show(self, notice: Notice, state: str) -> None:
        trouble = f", {notice.get_last_error_display()}" if notice.last_error else ""
        tried = _("attempts: {count}").format(count=notice.attempts)
        self.stdout.write(f"{notice.pk}  {notice}: {state}, {tried}{trouble}")


def _local(at: Any) -> str:
    return timezone.localtime(at).isoformat(timespec="seconds")
