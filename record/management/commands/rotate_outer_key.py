from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from record import rotation


class Command(BaseCommand):
    help = (
        "Make a new outer key and wrap every number key by it; nothing in the database changes. Run again after it was "
        "interrupted, it finishes with the key it had made. Wraps number keys that are not wrapped yet."
    )
    requires_system_checks = ()  # a key that is not wrapped yet is an error to them

    def handle(self, **options: Any) -> None:
        try:
            done = rotation.rotate_outer_key()
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from error
        self.stdout.write(
            _("{path} wraps every number key now. Number keys wrapped anew: {count}.").format(
                path=done.outer, count=done.number_keys
            )
        )
        self.stdout.write(_("Back it up apart from KEYS_DIR, and KEYS_DIR anew."))
        for path in done.older:
            self.stdout.write(
                _("{path} opens nothing any more. Once every server has the new files, destroy it.").format(path=path)
            )
