from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from dncregistry.errors import Refused
from record import clock, rotation
from record.keys import KeyFile


class Command(BaseCommand):
    help = (
        "Change the key that signs receipts, in two runs. The first makes the next key and publishes its public half; "
        "the second, an hour later, has it sign and retires the old one, whose public half stays published."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--test", action="store_true", help="the key of test receipts")
        parser.add_argument(
            "--now",
            action="store_true",
            help="do not wait for the hour: until it is over, firms may not be able to verify new receipts",
        )

    def handle(self, *, test: bool, now: bool, **options: Any) -> None:
        try:
            self._rotate("receipt-test" if test else "receipt", now)
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from error

    def _rotate(self, folder: str, now: bool) -> None:
        waiting = rotation.next_signing_key(folder)
        if self._retire(folder):  # what an interrupted run left, or older keys beside the one that signs
            return
        if waiting is None:
            self._publish(folder)
            return
        begins = rotation.may_sign_from(waiting)
        if clock.now() < begins:
            if not now:
                raise Refused("too_early", self._not_yet(waiting))
            self.stderr.write(
                _(
                    "Until {time} a firm that fetched the published keys before may take new receipts for forged."
                ).format(time=_local(begins))
            )
        rotation.sign_with_next(folder)
        self._retire(folder)

    def _publish(self, folder: str) -> None:
        path = rotation.publish_next(folder)
        self.stdout.write(str(path))
        self.stdout.write(_("Its public half is published; it signs nothing yet. Bring the file to every server."))
        waiting = rotation.next_signing_key(folder)
        if waiting:
            self.stdout.write(self._not_yet(waiting))

    def _not_yet(self, waiting: KeyFile) -> str:
        return _("Run this again from {time} on: the published keys may be kept for an hour.").format(
            time=_local(rotation.may_sign_from(waiting))
        )

    def _retire(self, folder: str) -> bool:
        retired = rotation.retire(folder)
        for path in retired:
            self.stdout.write(
                _(
                    "{path}: the public half of a key that signs no more. Its private half is gone; keep this for five "
                    "years, receipts are verified with it."
                ).format(path=path)
            )
        return bool(retired)


def _local(at: Any) -> str:
    return timezone.localtime(at).isoformat(timespec="seconds")
