"""How long does `manage.py audit_record` take over so many events?

    .venv/bin/python -m bench.audit --events 1000000 --database sqlite
    .venv/bin/python -m bench.audit --events 1000000 --database postgresql

Fills a registry of its own with registrations, each of which leaves two events (a holding, a registration), audits it
and prints the machine, the versions, the seconds and the memory. `--profile` shows where the time went.
"""

from __future__ import annotations

import argparse

from bench.registry import DATABASES, describe, measured, registry_on
from tests.served import manage

PROFILED = ("-m", "cProfile", "-s", "tottime")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.audit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000, help="to look at (1000000)")
    parser.add_argument("--database", choices=DATABASES, default="sqlite", help="default: sqlite")
    parser.add_argument("--profile", action="store_true", help="print where the time went")
    options = parser.parse_args()
    with registry_on(options.database) as environment:
        manage(environment, "migrate", "--verbosity", "0")
        print(describe(environment), end="", flush=True)
        filled = measured(environment, "demo", "--registrations", str(options.events // 2))
        print(f"filled     {filled.seconds:.1f} s", flush=True)
        audit = measured(environment, "audit_record", python=PROFILED if options.profile else ())
    print(f"audited    {audit.seconds:.1f} s for {options.events:,} events")
    print(f"processor  {audit.cpu:.1f} s of them in the command itself")
    print(f"peak       {audit.peak_mb} MB")
    print(audit.told, end="")


if __name__ == "__main__":
    main()
