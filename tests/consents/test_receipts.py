"""A receipt is proof: anyone can verify it offline with the published keys, and nobody can alter or make one."""

from __future__ import annotations

import base64
import json
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OctKey, OKPKey
from pytest_django.fixtures import Settings

from consents import check, receipts
from dncregistry.errors import Refused
from record import keys
from telemarketers.terms import Mode
from tests.world import ALICE, NOW, World

JTI = "019b0000-0000-7000-8000-000000000000"
CLAIMS = {"callee": ALICE.e164, "verdict": "allow", "reason": "authorized"}
VALID_UNTIL = NOW + timedelta(minutes=15)


def sign(mode: Mode = Mode.LIVE, **claims: Any) -> str:
    return receipts.sign({**CLAIMS, **claims}, jti=JTI, checked_at=NOW, valid_until=VALID_UNTIL, mode=mode)


def verify(receipt: str) -> dict[str, Any]:
    return receipts.verify(receipt, receipts.jwk_set())


def invalid(receipt: str) -> None:
    with pytest.raises(Refused) as refusal:
        verify(receipt)
    assert refusal.value.code == "receipt_invalid"


def encoded(part: bytes | dict[str, Any]) -> str:
    content = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def forged(claims: dict[str, Any], key: Any, algorithm: str = "EdDSA", **header: Any) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return jws.serialize_compact({"alg": algorithm, **header}, json.dumps(claims), key, algorithms=[algorithm])


# --- what it says ------------------------------------------------------------------------------------


def test_a_receipt_says_what_was_signed() -> None:
    assert verify(sign()) == {
        "iss": "https://registry.example",
        "jti": JTI,
        "iat": int(NOW.timestamp()),
        "exp": int(VALID_UNTIL.timestamp()),
        **CLAIMS,
    }


def test_the_answer_to_a_check_is_signed_for(w: World) -> None:
    w.authorize()
    answer = w.ask(matter=w.offer.code, client_ref="A-1")
    assert verify(check.receipt_of_one(answer)) == {
        "iss": "https://registry.example",
        "jti": str(answer.id),
        "iat": int(NOW.timestamp()),
        "exp": int(answer.valid_until.timestamp()),
        "firm": w.loans.credit_code,
        "on_behalf_of": None,
        "caller": "+861065529988",
        "callee": ALICE.e164,
        "purpose": "loan_finance",
        "matter": w.offer.code,
        "channel": "voice",
        "for_time": "2026-01-07T02:00:00Z",
        "verdict": "allow",
        "reason": "authorized",
        "policy": "china-1",
        "ref": "A-1",
    }


def test_it_is_verified_after_it_has_expired() -> None:
    """`exp` limits dialling; as evidence a receipt is good for years."""
    long_ago = datetime(2016, 1, 1, tzinfo=UTC)
    receipt = receipts.sign(CLAIMS, jti=JTI, checked_at=long_ago, valid_until=long_ago, mode=Mode.LIVE)
    assert verify(receipt)["verdict"] == "allow"


def test_anyone_can_verify_it_without_our_code() -> None:
    """RFC 7515 and RFC 8037 by hand: header and payload as sent, the key's `x` from the published set."""
    header, payload, signature = sign().split(".")
    key_id = json.loads(decoded(header))["kid"]
    (published,) = [key for key in receipts.jwk_set()["keys"] if key["kid"] == key_id]
    public = Ed25519PublicKey.from_public_bytes(decoded(str(published["x"])))
    public.verify(decoded(signature), f"{header}.{payload}".encode())
    with pytest.raises(InvalidSignature):
        public.verify(decoded(signature), f"{header}.{payload}x".encode())


# --- the published keys ------------------------------------------------------------------------------


def test_published_keys_are_public_halves_with_their_use() -> None:
    for key in receipts.jwk_set()["keys"]:
        assert set(key) == {"kty", "crv", "x", "kid", "use", "alg"}
        assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("OKP", "Ed25519", "sig", "EdDSA")


def test_live_and_test_keys_are_published_under_different_ids() -> None:
    ids = [str(key["kid"]) for key in receipts.jwk_set()["keys"]]
    assert len(set(ids)) == len(ids)
    assert {key_id.split("-")[0] for key_id in ids} == {"live", "test"}


@pytest.fixture
def rotated(settings: Settings, tmp_path: Path) -> str:
    """A receipt of an older key; the registry has since signed with a newer one."""
    settings.KEYS_DIR = tmp_path
    receipt = sign()
    newer = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "receipt" / "live-2.pem").write_bytes(newer)
    return receipt


def test_the_newest_key_signs(rotated: str) -> None:
    assert json.loads(decoded(sign().split(".")[0])) == {"alg": "EdDSA", "kid": "live-2"}


def test_what_an_older_key_signed_is_verified_still(rotated: str) -> None:
    assert verify(rotated)["verdict"] == "allow"


def test_without_its_key_a_receipt_is_not_verified(rotated: str) -> None:
    without = {"keys": [key for key in receipts.jwk_set()["keys"] if key["kid"] != "live-1"]}
    with pytest.raises(Refused) as refusal:
        receipts.verify(rotated, without)  # type: ignore[arg-type]
    assert refusal.value.code == "receipt_invalid"


# --- test receipts -----------------------------------------------------------------------------------


def test_a_test_receipt_says_so_thrice() -> None:
    receipt = sign(Mode.TEST)
    claims = verify(receipt)
    assert claims["test"] is True
    assert claims["iss"] == "https://registry.example/test"
    assert json.loads(decoded(receipt.split(".")[0]))["kid"].startswith("test-")


def test_a_live_receipt_does_not_mention_tests() -> None:
    assert "test" not in verify(sign())


def test_a_test_key_cannot_sign_for_the_live_issuer() -> None:
    claims = {"iss": receipts.issuer(Mode.LIVE), **CLAIMS}
    invalid(forged(claims, OKPKey.import_key(keys.signing_keys("receipt-test").key), kid="test-1"))


def test_a_test_receipt_does_not_pass_under_a_live_keys_id() -> None:
    claims = {"iss": receipts.issuer(Mode.LIVE), **CLAIMS}
    invalid(forged(claims, OKPKey.import_key(keys.signing_keys("receipt-test").key), kid="live-1"))


def test_a_live_key_does_not_sign_for_the_test_issuer() -> None:
    claims = {"iss": receipts.issuer(Mode.TEST), **CLAIMS}
    invalid(forged(claims, OKPKey.import_key(keys.signing_keys("receipt").key), kid="live-1"))


# --- alterations -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "claim",
    [
        pytest.param({"verdict": "block"}, id="verdict"),
        pytest.param({"callee": "+8613900139000"}, id="callee"),
        pytest.param({"exp": 2**40}, id="expiry"),
        pytest.param({"test": False}, id="test"),
    ],
)
def test_an_altered_claim_is_noticed(claim: dict[str, Any]) -> None:
    header, payload, signature = sign().split(".")
    invalid(f"{header}.{encoded({**json.loads(decoded(payload)), **claim})}.{signature}")


@given(st.data())
def test_any_altered_character_is_noticed(data: st.DataObject) -> None:
    receipt = sign()
    at = data.draw(st.integers(0, len(receipt) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda character: character != receipt[at]))
    altered = receipt[:at] + other + receipt[at + 1 :]
    if parts(altered) != parts(receipt):  # the last character of a part may have bits that say nothing
        invalid(altered)


def parts(receipt: str) -> list[bytes] | str:
    try:
        return [decoded(part) for part in receipt.split(".")]
    except ValueError:
        return receipt


@given(st.data())
def test_a_receipt_cut_short_is_none(data: st.DataObject) -> None:
    receipt = sign()
    invalid(receipt[: data.draw(st.integers(0, len(receipt) - 2))])


def test_the_signature_of_another_receipt_is_noticed() -> None:
    header, payload, _signature = sign().split(".")
    invalid(".".join((header, payload, sign(verdict="block").split(".")[2])))


def test_somebody_elses_key_is_noticed() -> None:
    claims = {"iss": receipts.issuer(Mode.LIVE), **CLAIMS}
    invalid(forged(claims, OKPKey.generate_key("Ed25519"), kid="live-1"))


def test_an_unsigned_receipt_is_none() -> None:
    _header, payload, _signature = sign().split(".")
    invalid(f"{encoded({'alg': 'none', 'kid': 'live-1'})}.{payload}.")


def test_the_public_key_is_no_password() -> None:
    """The oldest trick: HS256 over the published key's bytes."""
    (published,) = [key for key in receipts.jwk_set()["keys"] if key["kid"] == "live-1"]
    claims = {"iss": receipts.issuer(Mode.LIVE), **CLAIMS}
    invalid(forged(claims, OctKey.import_key(decoded(str(published["x"]))), "HS256", kid="live-1"))


HEADER = {"alg": "EdDSA", "kid": "live-1"}


@pytest.mark.parametrize(
    "receipt",
    [
        pytest.param("", id="empty"),
        pytest.param(".", id="dot"),
        pytest.param("..", id="dots"),
        pytest.param("a.b.c", id="no-base64"),
        pytest.param("收.据.！", id="chinese"),
        pytest.param("\0.\0.\0", id="nul"),
        pytest.param(json.dumps({"receipt": "x"}), id="json"),
        pytest.param(f"{encoded(b'[]')}.{encoded(b'{}')}.{encoded(b'x')}", id="header-a-list"),
        pytest.param(f"{encoded(b'1')}.{encoded(b'{}')}.{encoded(b'x')}", id="header-a-number"),
        pytest.param(f"{encoded(b'null')}.{encoded(b'{}')}.{encoded(b'x')}", id="header-null"),
        pytest.param(f"{encoded({'kid': 'live-1'})}.{encoded(b'{}')}.{encoded(b'x')}", id="no-algorithm"),
        pytest.param(f"{encoded({'alg': 'EdDSA'})}.{encoded(b'{}')}.{encoded(b'x')}", id="no-key-id"),
        pytest.param(f"{encoded({**HEADER, 'kid': 7})}.{encoded(b'{}')}.{encoded(b'x')}", id="key-id-a-number"),
        pytest.param(f"{encoded({**HEADER, 'kid': ['live-1']})}.{encoded(b'{}')}.{encoded(b'x')}", id="key-id-a-list"),
        pytest.param(f"{encoded({**HEADER, 'alg': 7})}.{encoded(b'{}')}.{encoded(b'x')}", id="algorithm-a-number"),
        pytest.param(
            f"{encoded({**HEADER, 'alg': ['EdDSA']})}.{encoded(b'{}')}.{encoded(b'x')}", id="algorithm-a-list"
        ),
        pytest.param(f"{encoded({**HEADER, 'crit': ['exp']})}.{encoded(b'{}')}.{encoded(b'x')}", id="critical"),
        pytest.param(f"{encoded({**HEADER, 'crit': None})}.{encoded(b'{}')}.{encoded(b'x')}", id="critical-null"),
        pytest.param(f"{encoded({**HEADER, 'b64': False})}.{encoded(b'{}')}.{encoded(b'x')}", id="unencoded"),
        pytest.param(f"{encoded(HEADER)}.{encoded(b'{}')}.{'A' * 86}", id="signature-of-nothing"),
        pytest.param("A" * 1_000_000, id="a-megabyte"),
    ],
)
def test_what_is_no_receipt_is_refused_not_failed(receipt: str) -> None:
    invalid(receipt)


@given(st.text() | st.lists(st.text(), min_size=3, max_size=3).map(".".join))
def test_no_text_at_all_is_a_receipt(receipt: str) -> None:
    invalid(receipt)


@given(
    st.dictionaries(
        st.sampled_from(["alg", "kid", "crit", "b64", "jwk", "jku", "zip"]),
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()) | st.just("EdDSA"),
    )
)
def test_no_header_at_all_makes_one(header: dict[str, Any]) -> None:
    _header, payload, signature = sign().split(".")
    invalid(f"{encoded(header)}.{payload}.{signature}")


@pytest.mark.parametrize("payload", [b"", b"no json", b"\xff"])
def test_a_signed_payload_that_is_no_receipt_is_refused_not_failed(payload: bytes) -> None:
    key = OKPKey.import_key(keys.signing_keys("receipt").key)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        invalid(jws.serialize_compact(HEADER, payload, key, algorithms=["EdDSA"]))
