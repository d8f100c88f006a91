from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.utils.translation import gettext as _

from record import keys


class Command(BaseCommand):
    help = "Make the registry's keys under KEYS_DIR where there are none yet. Back them up apart from the database."
    requires_system_checks = ()

    def handle(self, **options: Any) -> None:
        made = keys.make_missing()
        for path in made:
            self.stdout.write(str(path))
        if made:
            self.stdout.write(_("Back these files up apart from the database: without them it cannot be read."))
        else:
            self.stdout.write(_("All keys are there already."))
