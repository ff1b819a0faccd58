"""Issuers of tokens for tests: their files, and tokens that they sign."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from webapp.issuers import Issuers
from webapp.tokens import Unauthorized

ISS = "urn:iiasa:ece:example"
SECRET = "a secret of the Scenario Explorer, long enough"
RSA_KEY = rsa.generate_private_key(65537, 2048)
SHORT_RSA = rsa.generate_private_key(65537, 1024)
OTHER_RSA = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
_ALGORITHM = {"RSA": RSAAlgorithm, "EC": ECAlgorithm, "OKP": OKPAlgorithm}


def claims(**changed: Any) -> dict[str, Any]:
    """The claims of a Scenario Explorer's token; None leaves one out."""
    now = int(time.time())
    given = {
        "token_type": "access",
        "exp": now + 900,
        "jti": "4b1c",
        "sub": 17,
        "iss": ISS,
        "user_id": 17,
        "user": {"id": 17, "username": "jane", "groups": ["modelers"], "is_staff": False},
        **changed,
    }
    return {name: value for name, value in given.items() if value is not None}


def token(
    content: Mapping[str, Any] | None = None,
    key: Any = SECRET,
    algorithm: str = "HS256",
    headers: Mapping[str, Any] | None = None,
) -> str:
    """Sign claims as an honest issuer does."""
    given = claims() if content is None else dict(content)
    return jwt.encode(given, key, algorithm, headers=dict(headers or {}))


def part(content: Any) -> str:
    """One part of a token, whatever is in it."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def pem(key: Any) -> str:
    """The public key of a private one, as PEM."""
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def jwk(key: Any, **said: Any) -> dict[str, Any]:
    """The public key of a private one, as a JSON Web Key."""
    kind = "RSA" if isinstance(key, rsa.RSAPrivateKey) else "EC"
    kind = "OKP" if isinstance(key, ed25519.Ed25519PrivateKey) else kind
    return {**_ALGORITHM[kind].to_jwk(key.public_key(), as_dict=True), **said}


def write_jwks(path: Path, *keys: Mapping[str, Any]) -> None:
    """Write a key set."""
    path.write_text(json.dumps({"keys": list(keys)}))


def write_issuer(home: Path, name: str = "explorer", **changed: Any) -> Path:
    """Write the file of an issuer; None leaves a key out."""
    given = {
        "issuer": ISS,
        "algorithms": ["HS256"],
        "key": "env:TEST_ISSUER_KEY",
        "instance": "default",
        "role": "viewer",
        "claims": {"user": "user.username"},
        **changed,
    }
    path = home / "config" / "issuers" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({k: v for k, v in given.items() if v is not None}))
    return path


@pytest.fixture
def issuers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Issuers:
    monkeypatch.setenv("TEST_ISSUER_KEY", SECRET)
    write_issuer(tmp_path)
    return Issuers(tmp_path)


def refused(issuers: Issuers, text: str) -> str:
    """Give why a token is refused."""
    with pytest.raises(Unauthorized) as raised:
        issuers.authenticate(text)
    return raised.value.message
