"""What production will not start without, in a sentence that says what to do; each in a process of its own."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from django.conf import settings

pytestmark = [pytest.mark.slow, pytest.mark.own_process]

BASE = Path(settings.BASE_DIR)


@pytest.fixture
def production(tmp_path: Path) -> dict[str, str]:
    """A complete environment of production, on a folder of its own."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "SYSTEMROOT")}
    return kept | {
        "DNC_PROFILE": "production",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "KEYS_DIR": str(tmp_path / "keys"),
        "DATABASE_URL": f"sqlite:///{tmp_path / 'registry.sqlite3'}",
        "ALLOWED_HOSTS": "registry.example",
        "RECEIPT_ISSUER": "https://registry.example",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "SMS_GATEWAY_URL": "https://sms.example/messages",
        "SMS_GATEWAY_TOKEN": "a token",
        "VAR_DIR": str(tmp_path / "var"),
        "PORT": str(free_port()),
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def python(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=BASE,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def manage(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return python(environment, "manage.py", *arguments)


def make_keys(production: dict[str, str]) -> None:
    """The keys that production asks for, as an operator's `manage.py make_keys` makes them."""
    made = {
        "outer/1.key": b"a5" * 32,
        "number/1.key": b"1:" + aes_key_wrap(b"\xa5" * 32, b"\x5a" * 32).hex().encode(),
        "receipt/live-1.pem": key_pem(),
        "receipt-test/test-1.pem": key_pem(),
        "seal/1.key": b"c3" * 32,
    }
    for name, content in made.items():
        path = Path(production["KEYS_DIR"]) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def key_pem(encryption: KeySerializationEncryption | None = None) -> bytes:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


# --- variables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("SECRET_KEY", "KEYS_DIR", "DATABASE_URL", "REDIS_URL", "ALLOWED_HOSTS", "RECEIPT_ISSUER"),
        *("SMS_GATEWAY_URL", "SMS_GATEWAY_TOKEN"),
    ],
)
@pytest.mark.parametrize("empty", [False, True], ids=["missing", "empty"])
def test_production_names_the_variable_that_it_lacks(production: dict[str, str], name: str, empty: bool) -> None:
    if empty:
        production[name] = ""
    else:
        del production[name]

    done = manage(production, "check")

    assert done.returncode != 0
    assert done.stderr.strip().startswith(f"{name} is not set.")
    assert "Traceback" not in done.stderr


def test_a_profile_that_is_none_is_refused(production: dict[str, str]) -> None:
    done = manage(production | {"DNC_PROFILE": "prod"}, "check")

    assert done.returncode != 0
    assert "DNC_PROFILE is 'prod'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_url_that_is_none_is_refused_in_a_sentence(production: dict[str, str]) -> None:
    done = manage(production | {"DATABASE_URL": "localhost:5432/registry"}, "check")

    assert done.returncode != 0
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_a_gateway_in_clear_is_refused(production: dict[str, str]) -> None:
    done = manage(production | {"SMS_GATEWAY_URL": "http://sms.example/messages"}, "check")

    assert done.returncode != 0
    assert "SMS_GATEWAY_URL is no https address" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_embedded_profile_needs_nothing_and_keeps_its_files_together(
    production: dict[str, str], tmp_path: Path
) -> None:
    embedded = {name: production[name] for name in production if name in ("PATH", "HOME", "LANG", "VAR_DIR")}

    done = manage(embedded, "check", "--fail-level", "WARNING")

    assert done.returncode == 0, done.stderr
    kept = {path.relative_to(tmp_path / "var").as_posix() for path in (tmp_path / "var").rglob("*") if path.is_file()}
    assert {"secret_key", "keys/outer/1.key", "keys/number/1.key", "keys/receipt/live-1.pem"} <= kept
    for name in ("secret_key", "keys/number/1.key", "keys/receipt/live-1.pem"):
        assert (tmp_path / "var" / name).stat().st_mode & 0o077 == 0, name


# --- keys --------------------------------------------------------------------------------------------


def assert_does_not_start(production: dict[str, str], *said: str) -> None:
    """Neither `manage.py serve` nor the WSGI module comes up, and both say why and what to do."""
    served = manage(production, "serve")
    loaded = python(production, "-W", "ignore", "-c", "import dncregistry.wsgi")

    assert served.returncode != 0
    assert "Traceback" not in served.stderr
    assert loaded.returncode != 0
    for sentence in (served.stderr, loaded.stderr.strip().splitlines()[-1]):
        for part in said:
            assert part in sentence, sentence


@pytest.mark.parametrize("folder", ["outer", "number", "receipt", "receipt-test"])
def test_a_missing_key_stops_the_start(production: dict[str, str], folder: str) -> None:
    make_keys(production)
    for path in (Path(production["KEYS_DIR"]) / folder).iterdir():
        path.unlink()

    assert_does_not_start(production, str(Path(production["KEYS_DIR"]) / folder), "make_keys", "backup")


def test_make_keys_makes_what_production_asks_for(production: dict[str, str]) -> None:
    assert manage(production, "make_keys").returncode == 0

    loaded = python(production, "-W", "ignore", "-c", "import dncregistry.wsgi")

    assert loaded.returncode == 0, loaded.stderr


def test_production_makes_no_keys_by_itself(production: dict[str, str]) -> None:
    assert_does_not_start(production, "There is no key in", "make_keys")

    assert not Path(production["KEYS_DIR"]).exists()


def test_an_unreadable_signing_key_stops_the_start(production: dict[str, str]) -> None:
    make_keys(production)
    path = Path(production["KEYS_DIR"]) / "receipt" / "live-1.pem"
    path.unlink()
    path.mkdir()  # no mode keeps a file from root; a folder, nobody can read as one

    assert_does_not_start(production, str(path), "cannot be read")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not a key", id="words"),
        pytest.param(key_pem()[:60], id="cut-off"),
        pytest.param(
            generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            id="another-sort-of-key",
        ),
        pytest.param(key_pem(BestAvailableEncryption(b"passphrase")), id="locked-by-a-passphrase"),
    ],
)
def test_a_signing_key_that_is_none_stops_the_start(production: dict[str, str], content: bytes) -> None:
    make_keys(production)
    path = Path(production["KEYS_DIR"]) / "receipt" / "live-1.pem"
    path.write_bytes(content)

    assert_does_not_start(production, str(path))


@pytest.mark.parametrize("content", [b"", b"zz" * 32, b"00" * 31, b"\xff" * 32], ids=["empty", "words", "short", "raw"])
def test_a_number_key_that_is_none_stops_the_start(production: dict[str, str], content: bytes) -> None:
    make_keys(production)
    path = Path(production["KEYS_DIR"]) / "number" / "1.key"
    path.write_bytes(content)

    assert_does_not_start(production, str(path))


def test_a_number_key_that_is_not_wrapped_stops_the_start_until_it_is(production: dict[str, str]) -> None:
    make_keys(production)
    path = Path(production["KEYS_DIR"]) / "number" / "1.key"
    path.write_bytes(b"5a" * 32)
    assert_does_not_start(production, str(path), "manage.py rotate_outer_key")

    assert manage(production, "rotate_outer_key").returncode == 0

    assert path.read_bytes().startswith(b"1:")
    assert manage(production, "check", "--fail-level", "WARNING").returncode == 0


def test_a_stranger_among_the_keys_stops_the_start(production: dict[str, str]) -> None:
    make_keys(production)
    path = Path(production["KEYS_DIR"]) / "receipt" / "old.pem"
    path.write_bytes(key_pem())

    assert_does_not_start(production, str(path), "Keys are named")


# --- the rest that must be in place ------------------------------------------------------------------


def test_a_database_behind_the_program_stops_the_start(production: dict[str, str]) -> None:
    make_keys(production)

    served = manage(production, "serve")

    assert served.returncode != 0
    assert "migrate" in served.stderr
    assert "Traceback" not in served.stderr


def test_a_port_in_use_stops_the_start_with_a_hint(production: dict[str, str]) -> None:
    make_keys(production)
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]

        served = manage(production | {"PORT": str(port)}, "serve")

    assert served.returncode != 0
    assert f"PORT={port + 1}" in served.stderr
    assert "Traceback" not in served.stderr


def test_production_passes_every_check_of_a_deployment(production: dict[str, str]) -> None:
    make_keys(production)

    assert manage(production, "migrate", "--verbosity", "0").returncode == 0

    done = manage(production, "check", "--deploy", "--fail-level", "WARNING", "--database", "default")

    assert done.returncode == 0, done.stderr


def test_production_loads_without_a_warning(production: dict[str, str]) -> None:
    make_keys(production)

    (Path(production["VAR_DIR"]) / "static").mkdir(parents=True)  # `manage.py collectstatic` fills it

    loaded = python(production, "-W", "error", "-c", "import dncregistry.wsgi")

    assert loaded.returncode == 0, loaded.stderr
    assert not loaded.stderr
