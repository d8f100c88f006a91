"""A PostgreSQL server for tests: made from nothing, reached by its socket only, and gone afterwards.

It listens on no network port and its folder opens to its owner alone, so it needs neither a free port
nor a password. It never touches a server that was there before. Whoever sends this process a signal
must turn it into an exception (tests/run.py does), so that the clearing away below is reached.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROLE = "registry"  # a superuser: tests make and drop databases
STARTS_WITHIN = 30  # seconds
STOPS_WITHIN = 10  # seconds, for each way of asking

# It is thrown away, so nothing in it has to survive a power cut.
SERVER_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "timezone": "UTC",
    "log_min_messages": "warning",
}
# For measuring, and for what looks at these settings: it writes as a server in service does.
DURABLE = {**SERVER_SETTINGS, "fsync": "on", "full_page_writes": "on"}


class NotStarted(Exception):
    """The server's programs are there, but it did not come up; the message holds what they said."""


@dataclass
class Cluster:
    """A server and its folder, which holds its socket and its log."""

    bin_folder: Path
    folder: Path
    owner: dict[str, Any]
    settings: Mapping[str, str]

    def start(self, largest_file: int | None = None) -> None:
        """`largest_file`: no file may grow past so many bytes, so that it meets what a full disk would do."""
        limit = ["prlimit", f"--fsize={largest_file}:"] if largest_file else []
        server = [str(self.bin_folder / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            self.server: subprocess.Popen[bytes] = subprocess.Popen(
                [*limit, *server, *options(self.settings)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us; we stop it when its clients have gone
                **self.owner,
            )
        wait_until_it_answers(self.bin_folder, self.folder, self.server)

    def kill(self) -> None:
        """As a power cut would: the server and every process of its own, at once."""
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        self.server.wait(STOPS_WITHIN)

    def processes(self) -> list[int]:
        """The server and every process of its own."""
        pid = self.server.pid
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    @property
    def url(self) -> str:
        """For DATABASE_URL; the database of that name does not exist, tests make their own."""
        return f"postgres://{ROLE}@/{self.folder}/registry"

    def conninfo(self, database: str = "registry") -> str:
        """The same for libpq."""
        return f"host={self.folder} user={ROLE} dbname={database}"


def programs() -> Path | None:
    """The folder that holds `initdb` and `postgres`: the one on PATH, else Debian's newest, else none."""
    on_path = shutil.which("initdb")
    debians = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda folder: [int(part) for part in folder.parent.name.split(".") if part.isdecimal()],
        reverse=True,
    )
    folders = [Path(on_path).resolve().parent, *debians] if on_path else debians
    return next(
        (folder for folder in folders if (folder / "postgres").exists() and (folder / "initdb").exists()),
        None,
    )


@contextmanager
def throwaway_postgres(bin_folder: Path, settings: Mapping[str, str] = SERVER_SETTINGS) -> Iterator[Cluster]:
    """Make a server with the programs in `bin_folder`, wait until it answers, and in the end remove it."""
    # Under /tmp whatever TMPDIR says: a socket's path may have 107 bytes at most.
    folder = Path(tempfile.mkdtemp(prefix="registry-pg-", dir="/tmp"))
    try:
        owner = unprivileged_owner(folder)
        make_cluster(bin_folder, folder, owner)
        cluster = Cluster(bin_folder, folder, owner, settings)
        try:
            cluster.start()
            yield cluster
        finally:
            stop(cluster.server)
    finally:
        shutil.rmtree(folder)


def unprivileged_owner(folder: Path) -> dict[str, Any]:
    """As whom to run, as arguments for `subprocess`: ourselves, or another where we are root.

    PostgreSQL refuses to be root. The folder is made over to whoever it is.
    """
    if os.geteuid() != 0:
        return {"cwd": folder}
    users = {user.pw_name: user for user in pwd.getpwall()}
    user = users.get("postgres") or users["nobody"]
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"cwd": folder, "user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def make_cluster(bin_folder: Path, folder: Path, owner: dict[str, Any]) -> None:
    """`trust` is safe here: only the folder's owner and root reach the socket."""
    made = subprocess.run(
        [
            *(bin_folder / "initdb", "-D", folder / "data", "--username", ROLE, "--auth=trust"),
            *("--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=STARTS_WITHIN,
        check=False,
        **owner,
    )
    if made.returncode:
        raise NotStarted(f"initdb failed:\n{made.stdout}{made.stderr}")


def options(settings: Mapping[str, str]) -> list[str]:
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def wait_until_it_answers(bin_folder: Path, folder: Path, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while subprocess.run([bin_folder / "pg_isready", "-q", "-h", folder], timeout=5, check=False).returncode:
        if server.poll() is not None or time.monotonic() > deadline:
            raise NotStarted(f"PostgreSQL did not start:\n{(folder / 'log').read_text(errors='replace')}")
        time.sleep(0.05)


def stop(server: subprocess.Popen[bytes]) -> None:
    """Ask ever less politely: end sessions and close; end at once; and the kernel's way."""
    # SIGINT and SIGQUIT are PostgreSQL's "fast" and "immediate" shutdown. SIGCONT first: a test of
    # frozen servers may have been cut off before it thawed this one.
    for ask in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        server.send_signal(signal.SIGCONT)
        server.send_signal(ask)
        try:
            server.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            continue
        return
