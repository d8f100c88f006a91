from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError
from django.utils import timezone
from django.utils.translation import gettext as _
from tqdm import tqdm

from consents import imports
from consents.models import RegistrationImport
from record import clock
from record.ledger import OPERATOR
from record.masking import mask_numbers

INTERRUPTED = 130  # as shells report a program that Ctrl-C ended


class Command(BaseCommand):
    help = (
        "Take the export of another register in: every number of the file goes onto the do-not-call list, for all "
        "marketing. Only adds. May be cut off, run again, and run beside a live server. The file is plain or gz, "
        "UTF-8 or GB18030, one number a line or a CSV with --column."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--column", metavar="NAME", help="of a CSV whose first line names its columns")
        parser.add_argument("--report", type=Path, metavar="FILE", help="of refused lines; default: FILE.refused.csv")
        parser.add_argument("--quiet", action="store_true", help="no progress bar")

    def handle(self, *, file: Path, column: str | None, report: Path | None, quiet: bool, **options: Any) -> None:
        report = report or file.with_name(f"{file.name}.refused.csv")
        began = clock.now()
        try:
            with tqdm(unit="B", unit_scale=True, disable=quiet or not self.stderr.isatty(), file=self.stderr) as bar:

                def advance(position: int, size: int) -> None:
                    bar.total = size
                    bar.update(position - bar.n)

                done = imports.run(file, column=column, report=report, by=OPERATOR, now=clock.now, advance=advance)
        except KeyboardInterrupt as error:
            raise CommandError(_("Stopped. {go_on}").format(go_on=_go_on()), returncode=INTERRUPTED) from error
        except OperationalError as error:
            why = mask_numbers(str(error).partition("\n")[0])
            raise CommandError(
                _("The database does not answer: {why}. {go_on}").format(why=why, go_on=_go_on())
            ) from error
        if done.ended_at and done.ended_at < began:
            ended = timezone.localtime(done.ended_at).isoformat(timespec="seconds")
            self.stdout.write(
                _("This file was imported before, until {ended}. Nothing was done now.").format(ended=ended)
            )
        self._tell(done, report, (clock.now() - began).total_seconds())

    def _tell(self, done: RegistrationImport, report: Path, seconds: float) -> None:
        told = [
            (_("lines"), f"{done.lines:,}"),
            (_("added"), f"{done.added:,}"),
            (_("already there"), f"{done.already:,}"),
            (_("refused"), f"{sum(done.refused.values()):,}"),
            *((f"  {code}", f"{lines:,}") for code, lines in sorted(done.refused.items())),
            (_("seconds"), f"{seconds:,.1f}"),
        ]
        for name, value in told:
            self.stdout.write(f"{name}: {value}")
        if done.refused:
            self.stdout.write(_("Refused lines, with reasons: {report}").format(report=report))


def _go_on() -> str:
    return _("Nothing is half done: the same command goes on from here.")
