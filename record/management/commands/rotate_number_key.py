from __future__ import annotations

import logging
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _
from tqdm import tqdm

from record import clock, rotation
from record.calendar import calendar_months_later

log = logging.getLogger(__name__)

CHECK_RECORD_MONTHS = 6  # design §5: check records are kept so long, under the key they were written with


class Command(BaseCommand):
    help = (
        "Move all numbers to a new number key while the registry serves: makes the key, has every process write under "
        "it, and re-encrypts the table of numbers a few rows at a time. Interrupted, it goes on where it was."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--make-only",
            action="store_true",
            help="make the key and stop, so that its file can be brought to every server before it is used",
        )

    def handle(self, *, make_only: bool, **options: Any) -> None:
        if make_only or not rotation.retiring():
            key_id = self._make()
            if make_only:
                return
            rotation.announce(key_id, at=clock.now())
            log.warning("number key %s is in use from now on", key_id)
        for key_id in rotation.retiring():
            self._sweep(key_id)

    def _make(self) -> int:
        try:
            key_id, path, new = rotation.next_number_key()
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from error
        self.stdout.write(str(path))
        if new:
            self.stdout.write(_("Back this file up apart from the database, and bring it to every server."))
        return key_id

    def _sweep(self, key_id: int) -> None:
        with tqdm(total=rotation.left_under(key_id), unit=" numbers", desc=f"from key {key_id}", disable=None) as bar:
            for moved in rotation.sweep(key_id):
                bar.update(moved)
        at = clock.now()
        rotation.close(key_id, at=at)
        log.warning("number key %s has no numbers under it any more", key_id)
        until = calendar_months_later(timezone.localdate(at), CHECK_RECORD_MONTHS)
        self.stdout.write(
            _(
                "No number stands under key {key} any more. Records of checks still do: keep its file until {until}, "
                "and longer while a complaint cites one of them."
            ).format(key=key_id, until=until.isoformat())
        )
