"""How do several programs run as one, so that none of them outlives the others?

Each is started in a process group of its own: Ctrl-C reaches the supervisor alone, which stops them in order. Where the
supervisor itself is killed, the kernel tells each program to end.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

# Seconds for all programs together to end by themselves, once asked. Then they are killed.
GRACE = 8

PR_SET_PDEATHSIG = 1  # linux/prctl.h


class EndedByItself(Exception):
    """One of the programs ended though nobody asked it to."""


@dataclass(frozen=True)
class Program:
    command: list[str]
    variables: Mapping[str, str] = field(default_factory=dict)  # beside those of the supervisor


def run_together(programs: Mapping[str, Program]) -> None:
    """Runs the programs until a signal says to stop, or one of them ends: then raises `EndedByItself`.

    Signals to stop are Ctrl-C, SIGTERM and, unless it is ignored (nohup), SIGHUP. When this returns or raises,
    nothing that it started is left.
    """
    stops = {signal.SIGINT, signal.SIGTERM}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        stops.add(signal.SIGHUP)
    # Blocked and waited for: none is lost, whenever it comes, and a second Ctrl-C cuts no clearing away short.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*stops, signal.SIGCHLD})
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, program in programs.items():
            running[name] = subprocess.Popen(
                program.command,
                env={**os.environ, **program.variables},
                stdin=subprocess.DEVNULL,
                process_group=0,
                preexec_fn=_bound_to(os.getpid(), before),  # noqa: PLW1509  (there is one thread here)
            )
        while signal.sigwait({*stops, signal.SIGCHLD}) == signal.SIGCHLD:
            for name, process in running.items():
                if _has_ended(process):
                    raise EndedByItself(f"The {name} ended by itself ({_how(process)}).")
    finally:
        _stop(running.values())
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _bound_to(parent: int, mask: Iterable[int]) -> Callable[[], None]:
    """What a new process does first: asks the kernel for SIGTERM when its parent dies, however that dies."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def bind() -> None:
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # It died before we could ask.
                os._exit(1)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    return bind


def _stop(programs: Collection[subprocess.Popen[bytes]]) -> None:
    ends = time.monotonic() + GRACE
    for program in programs:
        os.kill(program.pid, signal.SIGTERM)
    for program in programs:
        while not _has_ended(program) and time.monotonic() < ends:
            time.sleep(0.02)
        # The program itself if it does not heed us, and what it had started and left behind.
        with suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        program.wait()


def _has_ended(program: subprocess.Popen[bytes]) -> bool:
    """Looks without clearing it away: as long as it is there, its group's number is nobody else's."""
    return os.waitid(os.P_PID, program.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _how(program: subprocess.Popen[bytes]) -> str:
    ended = os.waitid(os.P_PID, program.pid, os.WEXITED | os.WNOWAIT)
    assert ended is not None
    return f"status {ended.si_status}" if ended.si_code == os.CLD_EXITED else f"signal {ended.si_status}"
