"""Files and keys of issuers: what they say, that changes are seen, that no secret is shown."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from runner.errors import InvalidConfiguration
from tests.webapp.signing import (
    EC_KEY,
    OTHER_RSA,
    RSA_KEY,
    SECRET,
    SHORT_RSA,
    jwk,
    pem,
    refused,
    token,
    write_issuer,
    write_jwks,
)
from webapp.issuers import Issuers, IssuerUnavailable
from webapp.issuers.file import read
from webapp.tokens import Unauthorized


def test_files_and_keys_are_read_again_when_they_change(
    tmp_path: Path, issuers: Issuers, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert issuers.authenticate(token()).role == "viewer"
    write_issuer(tmp_path, role="operator")
    assert issuers.authenticate(token()).role == "operator"
    write_issuer(tmp_path, algorithms=["RS256"], key=None, jwks=str(tmp_path / "keys.json"))
    write_jwks(tmp_path / "keys.json", jwk(RSA_KEY, kid="old"))
    signed = token(None, RSA_KEY, "RS256", {"kid": "old"})
    assert issuers.authenticate(signed).user == "jane"
    write_jwks(tmp_path / "keys.json", jwk(OTHER_RSA, kid="new"))
    assert "not valid" in refused(issuers, signed)
    assert issuers.authenticate(token(None, OTHER_RSA, "RS256", {"kid": "new"})).user == "jane"
    (tmp_path / "config" / "issuers" / "explorer.yaml").unlink()
    assert "not valid" in refused(issuers, token(None, OTHER_RSA, "RS256", {"kid": "new"}))


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"algorithms": ["HS256", "RS256"]}, "/algorithms: HMAC"),
        ({"algorithms": ["none"]}, "/algorithms/0"),
        ({"algorithms": []}, "/algorithms"),
        ({"issuer": None}, "issuer"),
        ({"key": None}, "one of key and jwks"),
        ({"jwks": "keys.json"}, "one of key and jwks"),
        ({"key": None, "jwks": "keys.json"}, "/jwks: it is for public keys"),
        ({"instance": None}, "one of instance and claims.instance"),
        ({"claims": {"instance": "a"}}, "one of instance and claims.instance"),
        ({"instances": {"a": "b"}}, "/instances"),
        ({"role": None}, "role"),
        ({"role": "admin"}, "/role"),
        ({"roles": {"a": "worker"}}, "/roles/a"),
        ({"roles": {"a": "viewer"}}, "belong together"),
        ({"acting": True}, "acting"),
        ({"leeway": 301}, "/leeway"),
        ({"leeway": -1}, "/leeway"),
    ],
)
def test_a_mistake_in_a_file_is_named_by_its_place(
    tmp_path: Path, changed: dict[str, Any], where: str
) -> None:
    path = write_issuer(tmp_path, **changed)
    with pytest.raises(InvalidConfiguration) as raised:
        read(path)
    assert str(path) in raised.value.message
    assert where in raised.value.message


@pytest.mark.parametrize(
    "text",
    [
        f'{{"issuer": "a", "algorithms": ["HS256"], "instance": "a", "key": "{SECRET}"}}',
        f'issuer: a\nkey: "{SECRET}',
        f"issuer: a\nalgorithms: [HS256]\nkey: [{SECRET}]\n",
        f"issuer: a\nalgorithms: [HS256]\nkey: {{is: {SECRET}}}\n",
        f"issuer: a: {SECRET}\n",
    ],
)
def test_a_secret_written_into_a_file_is_not_repeated(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_issuer(tmp_path)
    path.write_text(text)
    issuers = Issuers(tmp_path)
    (problem,) = issuers.problems
    assert str(path) in problem
    assert SECRET[:12] not in problem + caplog.text  # nor a part of it


@pytest.mark.parametrize(
    ("secret", "algorithm", "reason"),
    [
        (None, "HS256", "TEST_ISSUER_KEY, which is not set"),
        ("x" * 31, "HS256", "31 bytes and must have 32"),
        ("x" * 32, "HS512", "32 bytes and must have 64"),
        (pem(RSA_KEY), "HS256", "public key"),
        ("".join(pem(RSA_KEY).splitlines()[1:-1]), "HS256", "public key"),
        (json.dumps(jwk(RSA_KEY)), "HS256", "public key"),
        ("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ", "HS256", "public key"),
        (SECRET, "RS256", "no public keys"),
        (pem(EC_KEY), "RS256", "None of the keys"),
        (pem(SHORT_RSA), "RS256", "None of the keys"),
        (pem(RSA_KEY), "ES256", "None of the keys"),
        (pem(EC_KEY), "ES384", "None of the keys"),
    ],
    ids=[  # the keys are other ones in each process
        *("not set", "31 bytes", "32 bytes", "pem", "bare pem", "jwk", "ssh", "no key"),
        *("ec for rs", "short rsa", "rsa for es", "another curve"),
    ],
)
def test_a_key_that_does_not_fit_verifies_nothing_and_is_told_to_operators(
    tmp_path: Path,
    issuers: Issuers,
    monkeypatch: pytest.MonkeyPatch,
    secret: str | None,
    algorithm: str,
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if secret is None:
        monkeypatch.delenv("TEST_ISSUER_KEY")
    else:
        monkeypatch.setenv("TEST_ISSUER_KEY", secret)
    write_issuer(tmp_path, algorithms=[algorithm])
    (problem,) = issuers.problems
    assert reason in problem
    key: Any = {"RS": RSA_KEY, "ES": EC_KEY}.get(algorithm[:2], SECRET + "x" * 32)
    signed = token(None, key, "ES256") if algorithm == "ES384" else token(None, key, algorithm)
    with caplog.at_level(logging.DEBUG), pytest.raises((IssuerUnavailable, Unauthorized)) as raised:
        issuers.authenticate(signed)
    assert (secret or SECRET) not in problem + caplog.text + raised.value.message
    assert "TEST_ISSUER_KEY" not in raised.value.message


def test_a_key_file_with_private_keys_is_refused(tmp_path: Path, issuers: Issuers) -> None:
    from jwt.algorithms import RSAAlgorithm

    write_jwks(tmp_path / "keys.json", RSAAlgorithm.to_jwk(RSA_KEY, as_dict=True))
    write_issuer(tmp_path, algorithms=["RS256"], key=None, jwks="keys.json")
    (problem,) = issuers.problems
    assert "public keys only" in problem
