"""Tokens of others: an honest one says who asks; nothing else gets anybody in."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.webapp.signing import (
    EC_KEY,
    ED_KEY,
    ISS,
    OTHER_RSA,
    RSA_KEY,
    SECRET,
    claims,
    jwk,
    pem,
    refused,
    token,
    write_issuer,
    write_jwks,
)
from tests.webapp.writing import Api
from webapp.issuers import Issuers
from webapp.tokens import Identity, Unauthorized

KEYS = {
    "HS256": (SECRET, {}),
    "RS256": (RSA_KEY, jwk(RSA_KEY)),
    "PS384": (RSA_KEY, jwk(RSA_KEY)),
    "ES256": (EC_KEY, jwk(EC_KEY)),
    "EdDSA": (ED_KEY, jwk(ED_KEY)),
}


def test_a_token_of_a_scenario_explorer_says_who_asks(issuers: Issuers) -> None:
    expected = Identity("jwt:explorer:jane", "jane", "viewer", "default", False, "jane")
    assert issuers.authenticate(token()) == expected


def test_the_log_has_the_reason_of_each_refusal(
    issuers: Issuers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "webapp.issuers")
    for text, reason in {
        token(key="x" * 40): "Signature verification failed",
        token(claims(exp=1)): "has expired",
        token(claims(iss="other")): "no issuer is trusted",
        "a.b.c": "cannot be read",
    }.items():
        caplog.clear()
        refused(issuers, text)
        assert reason in caplog.text
        assert text not in caplog.text


def test_the_example_in_the_guide_takes_such_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guide = Path(__file__).resolve().parents[2] / "docs" / "tokens.md"
    example = guide.read_text().split("```yaml\n")[1].split("```")[0]
    path = tmp_path / "config" / "issuers" / "explorer.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(example)
    monkeypatch.setenv("EXPLORER_JWT_KEY", SECRET)
    issuers = Issuers(tmp_path)
    assert issuers.problems == []
    assert issuers.authenticate(token()).role == "submitter"
    staff = {"username": "joe", "groups": ["modelers", "managers"]}
    assert issuers.authenticate(token(claims(user=staff))).role == "operator"
    assert "token_type" in refused(issuers, token(claims(token_type="refresh")))


@pytest.mark.parametrize("algorithm", KEYS)
@pytest.mark.parametrize("where", ["key", "jwks"])
def test_each_kind_of_signature_is_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str, where: str
) -> None:
    key, public = KEYS[algorithm]
    given: dict[str, Any] = {"algorithms": [algorithm]}
    monkeypatch.setenv("TEST_ISSUER_KEY", SECRET if not public else pem(key))
    if public and where == "jwks":
        write_jwks(tmp_path / "keys.json", {**public, "kid": "a"}, jwk(OTHER_RSA, kid="b"))
        given |= {"jwks": "keys.json", "key": None}
    write_issuer(tmp_path, **given)
    issuers = Issuers(tmp_path)
    assert issuers.problems == []
    assert issuers.authenticate(token(None, key, algorithm, {"kid": "a"})).user == "jane"
    foreign = "x" * 64 if not public else {"RS256": OTHER_RSA, "PS384": OTHER_RSA}.get(algorithm)
    if foreign is not None:
        assert "not valid" in refused(issuers, token(None, foreign, algorithm, {"kid": "a"}))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"exp": int(time.time()) - 60}, "expired"),
        ({"exp": None}, "no claim exp"),
        ({"nbf": int(time.time()) + 10**8}, "not valid yet"),
        ({"iat": int(time.time()) + 10**8}, "not valid yet"),
        ({"exp": "soon"}, "not valid"),
        ({"exp": float("inf")}, "not valid"),
        ({"exp": float("nan")}, "not valid"),
        ({"exp": {"at": 1}}, "not valid"),
        ({"iss": "urn:iiasa:ece:other"}, "not valid"),
        ({"iss": None}, "not valid"),
        ({"aud": "somebody else"}, "not valid"),
        ({"jti": None}, "no claim jti"),
        ({"token_type": "refresh"}, "token_type must be access"),
        ({"token_type": None}, "token_type must be access"),
        ({"user": None}, "names no user"),
        ({"user": "jane"}, "names no user"),
        ({"user": {"username": ""}}, "names no user"),
        ({"user": {"username": "jane\n"}}, "names no user"),
        ({"user": {"username": "../jane"}}, "names no user"),
        ({"user": {"username": "j" * 151}}, "names no user"),
        ({"user": {"username": True}}, "names no user"),
        ({"user": {"username": ["jane"]}}, "names no user"),
    ],
)
def test_claims_that_do_not_hold_are_refused_with_a_reason(
    tmp_path: Path, issuers: Issuers, changed: dict[str, Any], reason: str
) -> None:
    write_issuer(tmp_path, required=["jti"], token_type="access")
    assert reason in refused(issuers, token(claims(**changed)))


def test_clocks_may_differ_by_the_leeway_and_no_more(tmp_path: Path, issuers: Issuers) -> None:
    write_issuer(tmp_path, leeway=30)
    for shift in (-20, 20):
        moved = int(time.time()) + shift
        name = "exp" if shift < 0 else "nbf"
        assert issuers.authenticate(token(claims(**{name: moved}))).user == "jane"
    assert "expired" in refused(issuers, token(claims(exp=int(time.time()) - 40)))
    write_issuer(tmp_path, leeway=0)
    assert "expired" in refused(issuers, token(claims(exp=int(time.time()) - 2)))


def test_a_token_must_be_for_the_audience_if_there_is_one(tmp_path: Path, issuers: Issuers) -> None:
    write_issuer(tmp_path, audience=["jobrunner", "jobs"])
    for audience in ("jobrunner", ["else", "jobs"]):
        assert issuers.authenticate(token(claims(aud=audience))).user == "jane"
    for wrong in (None, "else", [], ["else"], [1], {"jobrunner": 1}, 1):
        assert "not valid" in refused(issuers, token(claims(aud=wrong)))


def test_the_issuer_is_chosen_by_iss_and_audience(tmp_path: Path, issuers: Issuers) -> None:
    write_issuer(tmp_path, "a", audience="one", instance="a")
    write_issuer(tmp_path, "b", audience="two", instance="b")
    write_issuer(tmp_path, "c", issuer="urn:else", instance="c")
    found = [
        issuers.authenticate(token(claims(**changed))).instance
        for changed in ({"aud": "one"}, {"aud": "two"}, {"iss": "urn:else"}, {})
    ]
    assert found == ["a", "b", "c", "default"]


def test_the_key_of_one_issuer_signs_nothing_for_another(
    tmp_path: Path, issuers: Issuers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_OTHER_KEY", "another secret that is long enough, too")
    write_issuer(tmp_path, "other", issuer="urn:else", key="env:TEST_OTHER_KEY")
    forged = token(claims(iss="urn:else"), SECRET)
    assert "not valid" in refused(issuers, forged)


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        ("modelers", "submitter"),
        (["modelers", "managers", "others"], "operator"),
        (["others"], "viewer"),
        ([], "viewer"),
        (None, "viewer"),
        ({"modelers": True}, "viewer"),
        (True, "operator"),
        (7, "submitter"),
        ([["managers"]], "viewer"),
        ("admin", "viewer"),
        ("operator", "viewer"),
    ],
)
def test_the_highest_role_of_the_claim_counts(
    tmp_path: Path, issuers: Issuers, groups: Any, role: str
) -> None:
    path = write_issuer(tmp_path)
    text = json.loads(path.read_text())
    text["claims"]["role"] = "user.groups"
    text["roles"] = {"modelers": "submitter", "managers": "operator", "7": "submitter"}
    text["roles"]["true"] = "operator"
    path.write_text(json.dumps(text))
    user = {"username": "jane", "groups": groups}
    assert issuers.authenticate(token(claims(user=user))).role == role
    path.write_text(json.dumps({k: v for k, v in text.items() if k != "role"}))
    if role == "viewer":
        assert "no role" in refused(issuers, token(claims(user=user)))


def test_the_instance_is_fixed_or_named_by_a_claim(tmp_path: Path, issuers: Issuers) -> None:
    named: dict[str, Any] = {
        "instance": None,
        "claims": {"user": "user.username", "instance": "https://example.org/se"},
    }

    def instance(value: Any) -> str | None:
        changed = {"https://example.org/se": value}
        return issuers.authenticate(token({**claims(), **changed})).instance

    write_issuer(tmp_path, **named)
    assert instance("project") == "project"
    for wrong in ("../x", "", None, ["project"], {"a": 1}):
        with pytest.raises(Unauthorized, match="no instance"):
            instance(wrong)
    write_issuer(tmp_path, **named, instances={"se-1": "project", "2": "other"})
    assert [instance("se-1"), instance(2)] == ["project", "other"]
    for wrong in ("project", "se-2"):
        with pytest.raises(Unauthorized, match="no instance"):
            instance(wrong)


def test_the_api_takes_such_a_token_for_its_instance_only(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_ISSUER_KEY", SECRET)
    write_issuer(api.home, role="submitter")
    header = {"Authorization": f"Bearer {token()}"}
    job = api.job(header)
    assert (api.row(job).user, api.row(job).instance) == ("jane", "default")
    foreign = api.job(api.token(instance="other"), instance="other")
    assert api.client.get(f"/api/v1/jobs/{foreign}", headers=header).status_code == 404
    acting = {**header, "X-Jobrunner-User": "joe"}
    assert api.client.get("/api/v1/jobs", headers=acting).status_code == 403
    joe = token(claims(user={"username": "joe"}))
    cancelled = api.client.post(
        f"/api/v1/jobs/{job}/cancel", headers={"Authorization": f"Bearer {joe}"}
    )
    assert cancelled.status_code == 403
    answer = api.client.get("/api/v1/jobs", headers={"Authorization": f"Bearer {token()}x"})
    assert (answer.status_code, answer.json["code"]) == (401, "unauthorized")  # type: ignore[index]
    assert ISS not in answer.text


def test_an_issuer_without_its_key_is_503_and_no_failed_authentication(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_ISSUER_KEY", raising=False)
    write_issuer(api.home)
    header = {"Authorization": f"Bearer {token()}"}
    for _ in range(40):
        answer = api.client.get("/api/v1/jobs", headers=header)
        assert (answer.status_code, answer.json["code"]) == (503, "issuer_unavailable")  # type: ignore[index]
    monkeypatch.setenv("TEST_ISSUER_KEY", SECRET)
    assert api.client.get("/api/v1/jobs", headers=header).status_code == 200


def test_an_admin_sees_what_is_wrong_with_an_issuer(api: Api) -> None:
    write_issuer(api.home, key="env:NOT_SET_AT_ALL")
    shown = api.client.get("/api/v1/instances", headers=api.token("admin")).json
    assert any("NOT_SET_AT_ALL" in problem for problem in shown["problems"])  # type: ignore[index]
    others = api.client.get("/api/v1/instances", headers=api.token("operator")).json
    assert others["problems"] == []  # type: ignore[index]
