from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection
from django.utils.translation import gettext as _

from record import clock, partitions


class Command(BaseCommand):
    help = "Make the coming months' tables for check records (PostgreSQL). Safe to run at any time."

    def handle(self, **options: Any) -> None:
        made = [
            name for table in partitions.partitioned() for name in partitions.make_ahead(connection, table, clock.now())
        ]
        for name in made:
            self.stdout.write(name)
        if not made:
            self.stdout.write(_("All coming months are there already."))
