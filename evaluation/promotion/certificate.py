"""A certificate that says what was promoted, by which rules and on what figures; signed, so that nobody changes it later.

Ed25519 (RFC 8032) over the payload as JSON with sorted keys and no spaces. Whoever has the site's public key can check it without
the site. Knows no Django.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict

from accounts.key_files import key_file

KEY_FILE = "signing_key"
VERSION = 1
CHANGED = "Its signature does not fit its content: it was changed after it was signed."


class BadCertificate(ValueError):  # noqa: N818 - reads as what happened
    """The certificate is not what was signed; the message says why."""


class Certificate(BaseModel):
    """`payload` as it was signed; `signature` and `public_key` in base64."""

    model_config = ConfigDict(extra="forbid")

    version: int = VERSION
    payload: dict[str, Any]
    public_key: str
    signature: str


def sign(payload: dict[str, Any], key: Ed25519PrivateKey) -> Certificate:
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    return Certificate(payload=payload, public_key=public, signature=base64.b64encode(key.sign(_bytes(payload))).decode())


def verify(certificate: Certificate, *, public_key: str | None = None) -> None:
    """Raises BadCertificate where it was changed, or is signed by another key than `public_key` (base64)."""
    if certificate.version != VERSION:
        raise BadCertificate(f"It is of version {certificate.version}; this can check version {VERSION}.")
    if public_key is not None and certificate.public_key != public_key.strip():
        raise BadCertificate("It is signed by another site's key.")
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(certificate.public_key, validate=True))
        signed = _bytes(certificate.payload)
        key.verify(base64.b64decode(certificate.signature, validate=True), signed)
    except (InvalidSignature, ValueError, orjson.JSONEncodeError) as error:
        raise BadCertificate(CHANGED) from error
    # What JSON writes alike need not be alike: NaN is written as null is.
    if orjson.loads(signed) != certificate.payload:
        raise BadCertificate(CHANGED)


def site_key(folder: Path) -> Ed25519PrivateKey:
    """The site's own key, in a file of the state folder that its owner alone may read; made where there is none."""
    key = key_file(folder / KEY_FILE, lambda: base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode())
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(key.strip(), validate=True))


def public_key_of(key: Ed25519PrivateKey) -> str:
    """In base64, as it stands in certificates."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def _bytes(payload: dict[str, Any]) -> bytes:
    return orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)
