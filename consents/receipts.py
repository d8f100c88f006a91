"""The signed proof that a question was asked and answered: a JWS (RFC 7515) that anyone can verify offline.

Signed with Ed25519, named `EdDSA` (RFC 8037) as the HTTP contract says. Test receipts have another issuer and
other keys, and say `test: true`, so that none can pass for a live one. The public keys are a JWK set.
"""

from __future__ import annotations

import warnings
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.utils.translation import gettext_lazy as _
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import KeySet, KeySetSerialization, OKPKey

from dncregistry.errors import Refused
from record import keys
from telemarketers.terms import Mode

ALGORITHM = "EdDSA"
# RFC 9864 renames the algorithm to Ed25519; verifiers in the field know EdDSA, and the curve is in the key.
warnings.filterwarnings("ignore", message="EdDSA is deprecated", category=SecurityWarning)

FOLDERS = {Mode.LIVE: "receipt", Mode.TEST: "receipt-test"}


def issuer(mode: Mode) -> str:
    return issuers(mode)[0]


def issuers(mode: Mode) -> list[str]:
    """The present name first, then earlier ones: a receipt stays evidence for years."""
    names: list[str] = settings.RECEIPT_ISSUERS
    return names if mode == Mode.LIVE else [f"{name}/test" for name in names]


def sign(claims: dict[str, Any], *, jti: str, checked_at: datetime, valid_until: datetime, mode: Mode) -> str:
    """The receipt over `claims`. `exp` limits dialling only; as evidence it is verified as of the call."""
    signing = keys.signing_keys(FOLDERS[mode])
    payload = {
        "iss": issuer(mode),
        "jti": jti,
        "iat": int(checked_at.timestamp()),
        "exp": int(valid_until.timestamp()),
        **claims,
        **({"test": True} if mode == Mode.TEST else {}),
    }
    header = {"alg": ALGORITHM, "kid": signing.current}
    return jws.serialize_compact(header, orjson.dumps(payload), _jwk(signing.key), algorithms=[ALGORITHM])


def jwk_set() -> KeySetSerialization:
    """Every public key, oldest first: retired ones, the ones that sign, those that will, and those of test receipts."""
    return {
        "keys": [
            {**OKPKey.import_key(key).as_dict(private=False), "kid": key_id, "use": "sig", "alg": ALGORITHM}
            for folder in FOLDERS.values()
            for key_id, key in keys.signing_keys(folder).published.items()
        ]
    }


def verify(receipt: str, published: KeySetSerialization) -> dict[str, Any]:
    """The claims of a receipt whose signature one of the `published` keys made.

    Says nothing about time: whether the receipt covers a call is a question of `for_time` and `exp`.
    Raises `Refused` (`receipt_invalid`).
    """
    try:
        signed = jws.deserialize_compact(receipt, KeySet.import_key_set(published), algorithms=[ALGORITHM])
        claims: dict[str, Any] = orjson.loads(signed.payload)
    except (JoseError, TypeError, ValueError) as error:  # TypeError: a header that is no header
        raise Refused(
            "receipt_invalid",
            _("This is no receipt of this registry: its signature does not match. Fetch the published keys anew."),
        ) from error
    test_key = str(signed.headers().get("kid", "")).startswith("test-")
    if claims.get("iss") not in issuers(Mode.TEST if test_key else Mode.LIVE):
        raise Refused("receipt_invalid", _("This receipt names another issuer than its key's."))
    return claims


@lru_cache(maxsize=len(FOLDERS))
def _jwk(key: Ed25519PrivateKey) -> OKPKey:
    """Remembered for the keys that sign now, one for each mode."""
    return OKPKey.import_key(key)
