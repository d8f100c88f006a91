from __future__ import annotations

import io
import os
import socket
import sys
from argparse import ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import Error as DatabaseFailure

from consents.management.commands import demo
from dncregistry import supervisor
from dncregistry.celery import app as celery
from dncregistry.supervisor import Program
from record import clock, keys, stored_numbers
from telemarketers.models import Firm


class Command(BaseCommand):
    help = (
        "Start the registry's web server. The embedded profile sets itself up first, and starts a worker for owed work "
        "beside it; production starts only with its keys and migrations in place. Ends on Ctrl-C or SIGTERM."
    )
    requires_system_checks = ()  # `handle` runs them, after the tables are there

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1" if settings.EMBEDDED else "0.0.0.0")
        parser.add_argument("--port", type=_port, default=os.environ.get("PORT", "8000"), help="default: PORT, or 8000")
        parser.add_argument(
            "--demo", action="store_true", help="fill in the demonstration world, and show how to use it"
        )

    def handle(self, *, host: str, port: int, demo: bool, **options: Any) -> None:
        _demand_free(host, port)
        if settings.EMBEDDED:
            call_command("migrate", verbosity=0)
        _demand_ready()
        stored_numbers.keep_proofs()
        self.stdout.write(f"http://{host}:{port}/")
        if demo:
            self._show_demo(f"http://{host}:{port}")
        self.stdout.flush()
        connection.close()
        web = Program([sys.executable, "-m", "granian", *_server_arguments(host, port)], _room_for_measures(port))
        if settings.EMBEDDED:
            _make_queue()
            try:
                supervisor.run_together({"web server": web, "worker": Program([sys.executable, *WORKER])})
            except supervisor.EndedByItself as ended:
                raise CommandError(f"{ended} The rest was stopped with it.") from ended
        else:
            # This process becomes the server, so that a signal to it reaches the server and nothing is left behind.
            os.execve(sys.executable, web.command, {**os.environ, **web.variables})

    def _show_demo(self, address: str) -> None:
        call_command("demo")
        at = clock.now()
        shown = demo.demo_keys(Firm.objects.get(credit_code=demo.FIRM), at)
        self.stdout.write(
            GUIDE.format(address=address, firm=demo.FIRM, caller=demo.CALLER, live=shown["live"], test=shown["test"])
        )


def _make_queue() -> None:
    """In the broker's file, before worker and beat both find it missing and both make it."""
    with celery.connection_for_write() as broker, broker.SimpleQueue(celery.conf.task_default_queue):
        pass


def _room_for_measures(port: int) -> dict[str, str]:
    """The web processes measure into files of their own; those of earlier ones would be added to them.

    Not the worker's: beat, which it forks with all files closed, could not.
    """
    folder = settings.VAR_DIR / f"metrics-{port}"
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("*.db"):
        left.unlink()
    return {"PROMETHEUS_MULTIPROC_DIR": str(folder)}


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise ArgumentTypeError(f"{text} is no port. Use a number from 1 to 65535, as in: PORT=8001 make run")
    return int(text)


def _demand_free(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CommandError(
                f"Port {port} cannot be used ({error.strerror}). Choose another: PORT={port + 1} make run"
            ) from error


def _demand_ready() -> None:
    try:
        keys.require()
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from error
    try:
        executor = MigrationExecutor(connection)
        behind = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseFailure as error:
        raise CommandError(f"The database cannot be asked. Look at DATABASE_URL and at the server. {error}") from error
    if behind:
        raise CommandError("The database is behind the program. Run `manage.py migrate` as the owner of its tables.")
    call_command(
        "check", databases=["default"], deploy=not settings.EMBEDDED, fail_level="WARNING", stdout=io.StringIO()
    )


# One process for tasks, and beat (dncregistry/celery.py). Without the banner, and without what only several workers
# have to say to each other.
WORKER = [
    *("-W", "ignore:You're running the worker", "-m", "celery", "--quiet", "--app", "dncregistry"),
    *("worker", "--beat", "--concurrency", "1", "--pool", "prefork", "--loglevel", "WARNING"),
    *("--without-gossip", "--without-mingle", "--without-heartbeat"),
]


def _server_arguments(host: str, port: int) -> list[str]:
    return [
        *("--interface", "wsgi", "--host", host, "--port", str(port)),
        *("--workers", str(settings.WEB_WORKERS), "--blocking-threads", "1"),
        *("--no-ws", "--no-access-log", "--log-level", "warning", "--workers-kill-timeout", "2"),
        "dncregistry.wsgi:application",
    ]


GUIDE = """
A demo firm ({firm}) may call from {caller}.
  live key  {live}
  test key  {test}

Ask before you dial (in another terminal). Loans need consent, so this is answered block no_authorization:

curl -s {address}/api/v1/checks \\
  -H 'Authorization: Bearer {live}' -H 'Content-Type: application/json' \\
  -d '{{"callee": "138 0013 8000", "caller": "{caller}", "purpose": "loan_finance", "channel": "voice"}}'

Try your program with the test key and the documented test numbers; 10100000015 is answered allow:

curl -s {address}/api/v1/checks/batch \\
  -H 'Authorization: Bearer {test}' -H 'Content-Type: application/json' \\
  -d '{{"callees": ["10100000015", "10100000012"], "caller": "{caller}", "purpose": "retail", "channel": "sms"}}'

What to try next: README.md. The API: {address}/api/docs/. Ctrl-C ends it.
"""
