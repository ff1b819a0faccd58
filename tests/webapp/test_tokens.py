"""Tokens: who gets in, who does not, and what is told to whom."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from runner.errors import InvalidRequest, NotFound
from tests.webapp.writing import Api
from webapp import tokens
from webapp.cli.token import token as command
from webapp.db import Database
from webapp.models import Token
from webapp.settings import Settings
from webapp.tokens import Forbidden, Identity, Unauthorized


def _create(database: Database, **given: object) -> str:
    with database.write() as session:
        return tokens.create(session, **{"name": "jane", "role": "viewer", **given})  # type: ignore[arg-type]


def _identity(database: Database, text: str) -> Identity:
    with database.read() as session:
        return tokens.authenticate(session, text)


def test_a_token_says_whose_it_is_and_what_for(database: Database) -> None:
    text = _create(database, name="se", role="submitter", instance="a", acting=True)
    identifier = text.split("_")[1]
    assert _identity(database, text) == Identity(identifier, "se", "submitter", "a", True, "se")


def test_the_secret_of_a_token_is_stored_nowhere(database: Database) -> None:
    secret = _create(database).split("_", 2)[2]
    assert len(secret) >= 43  # 32 bytes and more
    with database.read() as session:
        (row,) = tokens.all(session)
        assert secret not in str({c.name: getattr(row, c.name) for c in Token.__table__.columns})


def test_no_two_tokens_are_alike(database: Database) -> None:
    made = [_create(database) for _ in range(20)]
    assert len({text.split("_", 2)[1] for text in made}) == 20
    assert len({text.split("_", 2)[2] for text in made}) == 20


@pytest.mark.parametrize("wrong", ["", "x", "jr_", "jr__", "jr_0_x", "Bearer", "jr_\udc80_\udc80"])
def test_what_is_no_token_gets_nobody_in(database: Database, wrong: str) -> None:
    with pytest.raises(Unauthorized):
        _identity(database, wrong)


def test_an_answer_does_not_tell_which_tokens_exist(database: Database) -> None:
    text = _create(database)
    revoked = _create(database)
    with database.write() as session:
        tokens.revoke(session, revoked.split("_")[1])
    unknown = f"jr_{'0' * 16}_{text.split('_', 2)[2]}"
    wrong_secrets = [f"jr_{known.split('_')[1]}_{'x' * 43}" for known in (text, revoked)]
    messages = set()
    for wrong in (unknown, *wrong_secrets, f"jr_{text.split('_')[1]}_", f"jr_{'0' * 16}_"):
        with pytest.raises(Unauthorized) as raised:
            _identity(database, wrong)
        messages.add(raised.value.message)
    assert len(messages) == 1


def test_a_revoked_token_ends_at_once_and_says_so_to_its_owner(database: Database) -> None:
    text = _create(database)
    with database.write() as session:
        first = tokens.revoke(session, text.split("_")[1]).revoked
    with database.write() as session:
        assert tokens.revoke(session, text.split("_")[1]).revoked == first
    with pytest.raises(Unauthorized, match=f"revoked at {first}"):
        _identity(database, text)


def test_a_token_ends_when_it_expires(database: Database) -> None:
    text = _create(database, expires=datetime.now(UTC) + timedelta(hours=1))
    assert _identity(database, text)
    past = _create(database, expires=datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(Unauthorized, match="expired at"):
        _identity(database, past)


def test_the_time_of_expiry_is_kept_in_utc(database: Database) -> None:
    _create(database, expires=datetime.fromisoformat("2099-01-01T12:00:00+02:00"))
    with database.read() as session:
        assert tokens.all(session)[0].expires == "2099-01-01T10:00:00.000Z"


@pytest.mark.parametrize(
    "wrong", [{"role": "king"}, {"name": "a b"}, {"name": ""}, {"role": "admin", "instance": "a"}]
)
def test_a_token_that_makes_no_sense_is_not_made(
    database: Database, wrong: Mapping[str, str]
) -> None:
    with pytest.raises(InvalidRequest):
        _create(database, **wrong)


def test_a_token_that_is_not_there_cannot_be_revoked(database: Database) -> None:
    with pytest.raises(NotFound), database.write() as session:
        tokens.revoke(session, "0" * 16)


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("viewer", ["viewer"]),
        ("submitter", ["viewer", "submitter"]),
        ("operator", ["viewer", "submitter", "operator"]),
        ("worker", ["viewer", "worker"]),
        ("admin", ["viewer", "submitter", "operator", "worker", "admin"]),
    ],
)
def test_a_role_may_do_what_those_below_it_may(role: str, may: list[str]) -> None:
    identity = Identity("0", "x", role, None, False, "x")
    assert [other for other in tokens.ROLES if identity.has_role(other)] == may


def test_only_a_service_may_act_for_its_users() -> None:
    service = Identity("0", "se", "submitter", None, True, "se")
    assert service.on_behalf_of("jane@example.org").user == "jane@example.org"
    with pytest.raises(Forbidden):
        Identity("0", "x", "admin", None, False, "x").on_behalf_of("jane")
    for wrong in ("", "a b", "a\nb", "x" * 151):
        with pytest.raises(InvalidRequest):
            service.on_behalf_of(wrong)


def test_the_api_asks_for_a_token(api: Api) -> None:
    for headers in ({}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer jr_0_0"}):
        answer = api.submit(headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.json["code"] == "unauthorized"  # type: ignore[index]
    assert api.left_behind() == []


def test_a_service_submits_in_the_name_of_its_users(api: Api) -> None:
    service = api.token(name="se", acting=True)
    for user in ("jane", "jürgen"):
        answer = api.submit({**service, "X-Jobrunner-User": user.encode().decode("latin-1")})
        assert (answer.status_code, answer.json["user"]) == (202, user)  # type: ignore[index]
    assert api.submit(service).json["user"] == "se"  # type: ignore[index]
    assert api.submit({**service, "X-Jobrunner-User": "a b"}).status_code == 422
    assert api.submit({**api.token(), "X-Jobrunner-User": "jane"}).status_code == 403


def _call(
    api_settings: Settings, monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> tuple[str, str]:
    monkeypatch.setenv("JOBRUNNER_DATABASE_URL", api_settings.database_url)
    done = CliRunner().invoke(
        command, [*arguments, "--home", str(api_settings.home)], catch_exceptions=False
    )
    assert done.exit_code == 0, done.stderr
    return done.stdout, done.stderr


def test_the_command_prints_the_token_alone_then_lists_and_revokes_it(
    api_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--name", "se", "--role", "operator", "--instance", "default", "--acting"]
    text, hints = _call(api_settings, monkeypatch, "create", *options, "--expires", "90d")
    database = Database(api_settings.database_url)
    identity = _identity(database, text.strip())
    assert (identity.role, identity.instance, identity.acting) == ("operator", "default", True)
    assert f"jobrunner token revoke {identity.token_id}" in hints

    (row,) = json.loads(_call(api_settings, monkeypatch, "list", "--json")[0])
    left = datetime.fromisoformat(row["expires"]) - datetime.now(UTC)
    assert timedelta(days=89) < left <= timedelta(days=90)
    assert (row["id"], row["state"]) == (identity.token_id, "valid")
    plain = _call(api_settings, monkeypatch, "list")[0]
    assert identity.token_id in plain
    assert text.strip().split("_", 2)[2] not in plain

    _call(api_settings, monkeypatch, "revoke", identity.token_id)
    with pytest.raises(Unauthorized):
        _identity(database, text.strip())
    assert (
        json.loads(_call(api_settings, monkeypatch, "list", "--json")[0])[0]["state"] == "revoked"
    )


@pytest.mark.parametrize(
    "wrong", [["--expires", "soon"], ["--expires", "2001-01-01"], ["--role", "king"]]
)
def test_the_command_refuses_what_makes_no_sense(api_settings: Settings, wrong: list[str]) -> None:
    options = ["--name", "x", "--role", "viewer", *wrong, "--home", str(api_settings.home)]
    done = CliRunner().invoke(command, ["create", *options])
    assert (done.exit_code, done.stdout) == (2, "")


def test_a_token_for_an_instance_that_does_not_exist_is_a_typing_error(
    api_settings: Settings,
) -> None:
    options = ["--name", "x", "--role", "viewer", "--instance", "defualt"]
    done = CliRunner().invoke(command, ["create", *options, "--home", str(api_settings.home)])
    assert isinstance(done.exception, NotFound)
