"""Forged tokens: whatever somebody can do who knows all public keys, nobody gets in.

Each issuer meets each forgery; the answer is always the same, and tells nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from jwt.algorithms import get_default_algorithms

from tests.webapp.signing import (
    EC_KEY,
    ED_KEY,
    OTHER_RSA,
    RSA_KEY,
    SECRET,
    claims,
    jwk,
    part,
    pem,
    token,
    write_issuer,
    write_jwks,
)
from webapp.issuers import Issuers, is_jwt
from webapp.tokens import Unauthorized

# name of an issuer: its algorithm, the private key, whether its public keys are in a key set
ISSUERS: dict[str, tuple[str, Any, bool]] = {
    "secret": ("HS256", SECRET, False),
    "rsa": ("RS256", RSA_KEY, False),
    "rsa-set": ("RS256", RSA_KEY, True),
    "pss-set": ("PS256", RSA_KEY, True),
    "ec": ("ES256", EC_KEY, False),
    "ec-set": ("ES256", EC_KEY, True),
    "ed-set": ("EdDSA", ED_KEY, True),
}
HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
ALGORITHMS = sorted(set(get_default_algorithms()) | {"HS999", "RSA1_5", "dir", "ES256K"})
NONE = ("none", "None", "NONE", "nOnE", "", " none", "null")


@pytest.fixture(params=ISSUERS)
def issuer(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def issuers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, issuer: str) -> Issuers:
    algorithm, key, in_set = ISSUERS[issuer]
    given: dict[str, Any] = {"algorithms": [algorithm], "role": "operator"}
    monkeypatch.setenv("TEST_ISSUER_KEY", SECRET if key is SECRET else pem(key))
    if in_set:
        write_jwks(tmp_path / "keys.json", jwk(key, kid="ours"))
        given |= {"jwks": "keys.json", "key": None}
    write_issuer(tmp_path, **given)
    return Issuers(tmp_path)


def honest(issuer: str, **headers: Any) -> str:
    algorithm, key, in_set = ISSUERS[issuer]
    return token(claims(), key, algorithm, {**({"kid": "ours"} if in_set else {}), **headers})


def assert_refused(issuers: Issuers, *texts: str) -> None:
    """Nobody gets in, and each answer is the one that says nothing."""
    for text in texts:
        with pytest.raises(Unauthorized) as raised:
            issuers.authenticate(text)
        assert raised.value.message == "The token is not valid. Ask an administrator for another."


def signed(header: Mapping[str, Any], sign: Callable[[bytes], bytes], payload: Any = None) -> str:
    """Put a token together by hand: no library keeps us from anything."""
    head = f"{part(header)}.{part(claims() if payload is None else payload)}"
    return f"{head}.{part(sign(head.encode()))}"


def by_hmac(algorithm: str, secret: bytes) -> Callable[[bytes], bytes]:
    return lambda message: hmac.new(secret, message, HASHES[algorithm]).digest()


def public_texts(key: Any) -> Iterator[bytes]:
    """A public key in every way in which it may be taken for a secret."""
    text = pem(key)
    yield from (text.encode(), text.strip().encode(), text.replace("\n", "\r\n").encode())
    yield "".join(text.splitlines()[1:-1]).encode()
    public = key.public_key()
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    yield public.public_bytes(serialization.Encoding.DER, info)
    yield json.dumps(jwk(key)).encode()
    yield json.dumps(jwk(key, kid="ours")).encode()
    for name in ("n", "x", "y"):
        if name in jwk(key):
            value = jwk(key)[name]
            yield from (value.encode(), base64.urlsafe_b64decode(value + "=="))


def test_an_honest_token_gets_in(issuers: Issuers, issuer: str) -> None:
    assert issuers.problems == []
    assert issuers.authenticate(honest(issuer)).user == "jane"


def test_a_public_key_is_never_a_secret(issuers: Issuers) -> None:
    for key in (RSA_KEY, EC_KEY, ED_KEY):
        for algorithm in HASHES:
            for secret in public_texts(key):
                for header in ({"alg": algorithm}, {"alg": algorithm, "kid": "ours"}):
                    assert_refused(issuers, signed(header, by_hmac(algorithm, secret)))


def test_no_signature_is_no_signature(issuers: Issuers, issuer: str) -> None:
    head, payload, signature = honest(issuer).split(".")
    for name in NONE:
        for algorithm in (name, [name], None, {"alg": name}):
            header = part({"alg": algorithm, "typ": "JWT"})
            assert_refused(issuers, f"{header}.{payload}.", f"{header}.{payload}.{signature}")
    bare = part({"typ": "JWT"})
    assert_refused(issuers, f"{head}.{payload}.", f"{bare}.{payload}.", f"{bare}.{payload}.eA")


def test_secrets_that_everybody_knows_sign_nothing(issuers: Issuers) -> None:
    for secret in (b"", b"secret", b"HS256", b"explorer", b"\0" * 64, SECRET[:-1].encode()):
        for algorithm in HASHES:
            assert_refused(issuers, signed({"alg": algorithm}, by_hmac(algorithm, secret)))


def test_the_algorithm_of_the_file_counts_and_not_that_of_the_token(
    issuers: Issuers, issuer: str
) -> None:
    ours, key, in_set = ISSUERS[issuer]
    _, payload, signature = honest(issuer).split(".")
    for algorithm in ALGORITHMS:
        header = {"alg": algorithm, **({"kid": "ours"} if in_set else {})}
        if algorithm != ours:
            assert_refused(issuers, f"{part(header)}.{payload}.{signature}")
    kinds = {"HS": ("HS384", "HS512"), "RS": ("RS384", "PS256"), "PS": ("RS256", "PS512")}
    for other in kinds.get(ours[:2], ()):  # rightly signed by the right key, in another way
        method = get_default_algorithms()[other]
        prepared = method.prepare_key(key if key is not SECRET else SECRET.encode())
        header = {"alg": other, **({"kid": "ours"} if in_set else {})}
        assert_refused(issuers, signed(header, lambda text, m=method, k=prepared: m.sign(text, k)))


def test_a_key_that_the_token_brings_along_or_points_to_is_ignored(
    issuers: Issuers, issuer: str
) -> None:
    ours = ISSUERS[issuer][0]
    own: Any = {"HS256": "a secret of somebody else, long enough"}.get(ours, OTHER_RSA)
    algorithm = "HS256" if ours == "HS256" else "RS256"
    offered = {
        "jwk": jwk(OTHER_RSA, kid="ours"),
        "jku": "http://127.0.0.1:1/keys.json",
        "x5u": "http://127.0.0.1:1/certificate.pem",
        "x5c": [base64.b64encode(pem(OTHER_RSA).encode()).decode()],
        "x5t": "AAAA",
    }
    for name, value in offered.items():
        for kid in ({}, {"kid": "ours"}):
            assert_refused(issuers, token(None, own, algorithm, {name: value, **kid}))
    assert_refused(issuers, token(None, own, algorithm, {**offered, "kid": "ours"}))
    # beside a right signature they do no harm
    assert issuers.authenticate(honest(issuer, **offered)).user == "jane"


def test_a_key_id_is_looked_for_in_the_file_only(
    issuers: Issuers, issuer: str, tmp_path: Path
) -> None:
    algorithm, key, in_set = ISSUERS[issuer]
    (tmp_path / "null").write_bytes(b"")
    paths = ("../../../../dev/null", str(tmp_path / "null"), "keys.json", "' OR 1=1 --", "\0", "a")
    for kid in (*paths, "OURS", "ours "):
        assert_refused(issuers, signed({"alg": "HS256", "kid": kid}, by_hmac("HS256", b"")))
        if in_set:
            assert_refused(issuers, token(None, key, algorithm, {"kid": kid}))
    method = get_default_algorithms()[algorithm]
    prepared = method.prepare_key(key if key is not SECRET else SECRET.encode())
    for odd in (1, None, True, ["ours"], {"ours": 1}, 1.5):
        forged = signed({"alg": algorithm, "kid": odd}, lambda text: method.sign(text, prepared))
        assert_refused(issuers, forged)


def test_a_signature_is_for_one_payload_and_no_byte_of_it_may_change(
    issuers: Issuers, issuer: str
) -> None:
    text = honest(issuer)
    head, payload, signature = text.split(".")
    for changed in ({"user": {"username": "root"}}, {"exp": 9_999_999_999}, {"aud": "x"}):
        assert_refused(issuers, f"{head}.{part(claims(**changed))}.{signature}")
    raw = base64.urlsafe_b64decode(signature + "==")
    dice = random.Random(7)
    for place in dice.sample(range(len(raw)), 20):
        flipped = bytearray(raw)
        flipped[place] ^= 1 << dice.randrange(8)
        assert_refused(issuers, f"{head}.{payload}.{part(bytes(flipped))}")
    cut = (raw[:-1], raw[1:], raw + b"\0", raw * 2, b"", b"\0" * len(raw), b"\xff" * len(raw))
    assert_refused(issuers, *(f"{head}.{payload}.{part(other)}" for other in cut))


def test_extensions_that_must_be_understood_are_refused(issuers: Issuers, issuer: str) -> None:
    for critical in (["exp"], ["x"], [], "x", None, ["b64"]):
        algorithm, key, in_set = ISSUERS[issuer]
        method = get_default_algorithms()[algorithm]
        prepared = method.prepare_key(key if key is not SECRET else SECRET.encode())
        header = {"alg": algorithm, "crit": critical, "x": 1}
        header |= {"kid": "ours"} if in_set else {}
        sign = lambda text, m=method, k=prepared: m.sign(text, k)  # noqa: E731
        assert_refused(issuers, signed(header, sign), signed({**header, "b64": False}, sign))


def test_what_is_no_token_at_all_is_refused(issuers: Issuers, issuer: str) -> None:
    head, payload, signature = honest(issuer).split(".")
    deep = b"[" * 3000 + b"]" * 3000
    contents: tuple[Any, ...] = (b"", b"null", b"[]", b'"a"', b"1", b"{", b"\xff\xfe", deep)
    for content in contents:
        assert_refused(
            issuers, f"{head}.{part(content)}.{signature}", f"{part(content)}.{payload}.{signature}"
        )
    assert_refused(issuers, "..", "a.b.c", "é.é.é", f"{head}..{signature}", f".{payload}.")
    assert_refused(issuers, f" {head}.{payload}.{signature}", f"{head}.{payload}.{signature}\n")
    assert_refused(issuers, f"{head}.{payload}.{signature}.{signature}.{signature}")
    assert_refused(issuers, honest(issuer, padding="x" * 9000))
    assert not is_jwt(f"jr_{'0' * 16}_secret")


def test_of_two_claims_with_one_name_none_is_read_that_was_not_signed(
    issuers: Issuers, issuer: str
) -> None:
    algorithm, key, in_set = ISSUERS[issuer]
    method = get_default_algorithms()[algorithm]
    prepared = method.prepare_key(key if key is not SECRET else SECRET.encode())
    twice = json.dumps(claims())[:-1] + ', "iss": "urn:iiasa:ece:other"}'
    header = {"alg": algorithm, **({"kid": "ours"} if in_set else {})}
    assert_refused(
        issuers, signed(header, lambda text: method.sign(text, prepared), twice.encode())
    )
