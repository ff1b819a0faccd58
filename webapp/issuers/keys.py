"""Keys that tokens of others are verified with: only those of files and variables of our own.

What a token itself offers as a key or where one may be fetched (``jwk``, ``jku``, ``x5c``, ``x5u``)
is never looked at.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from runner import reference
from runner.errors import InvalidConfiguration
from webapp.issuers.file import Issuer

_SECRET = {"HS256": 32, "HS384": 48, "HS512": 64}  # bytes: as long as the hash (RFC 7518, 3.2)
_CURVES = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
_RSA = 2048  # bits
# What is no secret of its own: public keys are known to everybody.
_PUBLIC = ("-----BEGIN", "ssh-", "ecdsa-sha2-", '{"')


@dataclass(frozen=True)
class PublicKey:
    """A public key, and what its file says of it."""

    key: Any
    kid: str | None = None
    algorithm: str | None = None

    def fits(self, algorithm: str) -> bool:
        """Tell whether signatures of `algorithm` can be verified with it."""
        if self.algorithm not in (None, algorithm):
            return False
        if algorithm in _CURVES:
            is_curve = isinstance(self.key, EllipticCurvePublicKey)
            return is_curve and self.key.curve.name == _CURVES[algorithm]
        if algorithm == "EdDSA":
            return isinstance(self.key, Ed25519PublicKey | Ed448PublicKey)
        return isinstance(self.key, RSAPublicKey) and self.key.key_size >= _RSA


def find(issuer: Issuer, home: Path, header: Mapping[str, Any]) -> Any:
    """Give the key for a token, or None if there is none that fits.

    Parameters
    ----------
    issuer : Issuer
        Whose token it is said to be.
    home : Path
        The home folder.
    header : mapping
        The header of the token, not verified: only ``alg`` and ``kid`` are read.

    Raises
    ------
    InvalidConfiguration
        If the keys of the issuer are not there, or unfit for its algorithms.
    """
    if issuer.uses_hmac:
        return _secret(issuer)
    fitting = [known for known in _public(issuer, home) if known.fits(header["alg"])]
    kid = header.get("kid")
    if issuer.jwks and kid is not None:
        fitting = [known for known in fitting if known.kid == kid]
    elif len(fitting) > 1:  # which one is not said
        return None
    return fitting[0].key if fitting else None


def check(issuer: Issuer, home: Path) -> None:
    """Look whether the keys of an issuer are there and fit.

    Raises
    ------
    InvalidConfiguration
        If not.
    """
    if issuer.uses_hmac:
        _secret(issuer)
    else:
        _public(issuer, home)


def _referred(issuer: Issuer) -> str:
    return reference.read(str(issuer.key), f"Issuer {issuer.name} takes its key from")


def _secret(issuer: Issuer) -> bytes:
    text = _referred(issuer)
    if _is_public(text):
        raise InvalidConfiguration(
            f"The key of issuer {issuer.name} ({issuer.key}) is no secret for HMAC but a public "
            "key, a certificate or the like: everybody could sign tokens with it."
        )
    secret, needed = text.encode(), max(_SECRET[name] for name in issuer.algorithms)
    if len(secret) < needed:
        raise InvalidConfiguration(
            f"The key of issuer {issuer.name} ({issuer.key}) is too short for "
            f"{', '.join(issuer.algorithms)}: it has {len(secret)} bytes and must have {needed}."
        )
    return secret


@lru_cache(maxsize=32)
def _is_public(text: str) -> bool:
    """Tell whether a text is a public key, in any of the ways in which they are written."""
    if text.startswith(_PUBLIC):
        return True
    try:
        load_der_public_key(base64.b64decode(text))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _public(issuer: Issuer, home: Path) -> tuple[PublicKey, ...]:
    """Give the public keys of an issuer, of which at least one fits one of its algorithms."""
    if issuer.jwks is None:
        where = str(issuer.key)
        text = _referred(issuer)
        load = _pem
    else:
        where = str(home / Path(issuer.jwks).expanduser())
        load = _jwks
        try:
            text = Path(where).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidConfiguration(
                f"The keys of issuer {issuer.name} cannot be read: {error}"
            ) from error
    try:
        found = load(text)
    except (ValueError, TypeError, UnsupportedAlgorithm, PyJWTError) as error:
        raise InvalidConfiguration(
            f"The keys of issuer {issuer.name} ({where}) are no public keys: {_LOADING[load]}"
        ) from error
    if not any(known.fits(name) for known in found for name in issuer.algorithms):
        raise InvalidConfiguration(
            f"None of the keys of issuer {issuer.name} ({where}) is one for "
            f"{', '.join(issuer.algorithms)}; RSA keys must have {_RSA} bits or more."
        )
    return found


@lru_cache(maxsize=32)
def _pem(text: str) -> tuple[PublicKey, ...]:
    data = text.encode()
    if b"BEGIN CERTIFICATE" in data:
        return (PublicKey(x509.load_pem_x509_certificate(data).public_key()),)
    return (PublicKey(load_pem_public_key(data)),)


@lru_cache(maxsize=32)
def _jwks(text: str) -> tuple[PublicKey, ...]:
    content = json.loads(text)
    if not isinstance(content, dict) or not isinstance(content.get("keys"), list):
        raise ValueError("no list of keys")
    return tuple(known for single in content["keys"] if (known := _jwk(single)))


def _jwk(single: Any) -> PublicKey | None:
    """Give a key of the file; None if it is for something else."""
    if not isinstance(single, dict) or single.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    if "d" in single:
        raise ValueError("a private key")
    operations = single.get("key_ops", ["verify"])
    if single.get("use", "sig") != "sig" or "verify" not in operations:
        return None
    try:
        key = PyJWK({name: single[name] for name in single if name != "alg"}).key
    except (PyJWTError, ValueError, TypeError):  # a curve or kind that nobody here knows
        return None
    return PublicKey(key, single.get("kid"), single.get("alg"))


_LOADING = {
    _pem: "a public key or a certificate in PEM is needed.",
    _jwks: "a JSON Web Key Set with public keys only is needed.",
}
