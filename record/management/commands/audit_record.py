from __future__ import annotations

import sys
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.utils import Error as DatabaseFailure
from django.utils.translation import gettext as _
from tqdm import tqdm

from record import audit


class Command(BaseCommand):
    help = (
        "Compare every row with what the record says of it, and the record with its seals, and name each difference. "
        "Changes nothing. Ends with status 0 if there is none, 1 if there are some, 2 if it could not look."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="a line of JSON for each difference, and no summary")

    def handle(self, *, json: bool, **options: Any) -> None:
        try:
            looked_at, found = self._look(json)
        except (DatabaseFailure, ImproperlyConfigured) as error:
            raise CommandError(_("Could not look at everything: {error}").format(error=error), returncode=2) from error
        if not json:
            self.stdout.write(
                _("Rows and events looked at: {rows}. Differences: {found}.").format(rows=looked_at, found=found)
            )
        if found:
            sys.exit(1)

    def _look(self, json: bool) -> tuple[int, int]:
        looked_at = found = 0

        def look(rows: int) -> None:
            nonlocal looked_at
            looked_at += rows
            bar.update(rows)

        with tqdm(total=audit.size(connection), unit=" rows", disable=None, leave=False) as bar:
            for difference in audit.differences(connection, look):
                self.stdout.write(difference.as_json() if json else str(difference))
                found += 1
        return looked_at, found
