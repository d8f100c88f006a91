"""What an import does that is really committed: the command, and a chunk begun before the one before it is done."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from consents import imports
from consents.models import Registration, RegistrationImport
from tests import world
from tests.consents.test_imports import POOL, Cut, had, many, refused_in, report_of, run, snapshot, told
from tests.world import World

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "export.txt"


def test_the_command_tells_what_it_did(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text("phone\n13800138000\n13800138000\n")
    call_command("import_registrations", str(path))
    out, err = capsys.readouterr()
    assert ": 3\n" in out
    assert "not_a_number: 1" in out
    assert str(report_of(path)) in out
    assert "13800138000" not in out
    assert err == ""  # no terminal, no bar
    call_command("import_registrations", str(path))
    assert "not_a_number: 1" in capsys.readouterr().out


def test_the_command_takes_a_report_elsewhere(path: Path, tmp_path: Path) -> None:
    path.write_text("x\n")
    call_command("import_registrations", str(path), "--report", str(tmp_path / "r.csv"), "--quiet")
    assert refused_in(tmp_path / "r.csv") == [(1, "not_a_number")]


# --- a chunk ahead ------------------------------------------------------------------------------------

if connection.vendor == "postgresql":  # where more than one may write

    def lines(seed: int) -> list[str]:
        """Some numbers again and again, of which some have left the list, and what is none."""
        chance = Random(seed)
        return [chance.choice([*(number.e164 for number in POOL), "", "138", *many(30)]) for _line in range(60)]

    def kept(path: Path, done: RegistrationImport) -> Any:
        """What an import leaves, but for ids and the order of what was done at once."""
        return told(done), refused_in(report_of(path)), snapshot()

    @pytest.mark.parametrize("seed", range(4))
    def test_two_chunks_at_once_are_as_one_after_the_other(committed: World, path: Path, seed: int) -> None:
        found = []
        for ahead in (False, True):
            w = world.build() if ahead else committed
            had(w, POOL[0], "left")
            had(w, POOL[1], "sms")
            had(w, POOL[2], "declined")
            found.append(kept(path, run(path, "\n".join(lines(seed)), pace=imports.Pace(4, ahead=ahead))))
            world.empty_all_rooms()
        assert found[0] == found[1]

    def test_where_a_chunk_fails_the_one_after_it_is_not_done_either(
        committed: World, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        noted, failing = imports._noted, 2

        def fails(chunk: imports.Chunk, *rest: Any) -> imports.Reached:
            if chunk.last == 3 * failing:
                raise Cut
            return noted(chunk, *rest)

        monkeypatch.setattr(imports, "_noted", fails)
        with pytest.raises(Cut):
            run(path, "\n".join(many(30)), pace=imports.Pace(3, ahead=True))
        assert Registration.objects.count() == RegistrationImport.objects.get().lines == 3

        monkeypatch.undo()
        assert told(run(path, pace=imports.Pace(3, ahead=True)))[:2] == (30, 30)
