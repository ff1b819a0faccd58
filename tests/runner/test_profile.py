from __future__ import annotations

from pathlib import Path

import pytest

from runner import profile, redact
from runner.errors import InvalidConfiguration, NotFound
from runner.profile import DSN_VARIABLE, PUBLISH_VARIABLE


def _write(home: Path, text: str) -> None:
    folder = home / "config" / "profiles"
    folder.mkdir(parents=True)
    (folder / "own.yaml").write_text(text)


def test_the_local_profile_needs_nothing_and_creates_names(tmp_path: Path) -> None:
    local = profile.load("local", tmp_path)
    embedded = str(tmp_path / "platforms" / "local.db")
    layers = str(tmp_path / "layers" / "default")
    known = {"create_names": True, "layers": layers}
    assert local.platform_config(tmp_path) == {"embedded": embedded, **known}
    assert local.credentials() == {}


def test_an_address_from_the_environment_reaches_rules_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path, "platform: {dsn: 'env:THE_DSN'}")
    own = profile.load("own", tmp_path)
    with pytest.raises(InvalidConfiguration, match="THE_DSN, which is not set"):
        own.credentials()
    monkeypatch.setenv("THE_DSN", "postgresql://u:p@h/d")
    assert own.credentials() == {DSN_VARIABLE: "postgresql://u:p@h/d"}
    assert "embedded" not in own.platform_config(tmp_path)


def test_each_instance_has_a_layer_store_of_its_own_unless_the_profile_says_otherwise(
    tmp_path: Path,
) -> None:
    usual = profile.load("local", tmp_path)
    assert usual.platform_config(tmp_path, "se")["layers"] == str(tmp_path / "layers" / "se")
    _write(tmp_path, "platform: {embedded: x, layers: '/srv/maps/{instance}'}")
    own = profile.load("own", tmp_path)
    assert own.platform_config(tmp_path, "se")["layers"] == "/srv/maps/se"


def test_an_address_from_a_file_is_read_when_it_is_needed(tmp_path: Path) -> None:
    secret = tmp_path / "dsn"
    _write(tmp_path, f"platform: {{dsn: 'file:{secret}'}}")
    own = profile.load("own", tmp_path)
    with pytest.raises(InvalidConfiguration, match="No such file"):
        own.credentials()
    secret.write_text("postgresql://u:p@h/d\n")
    assert own.credentials() == {DSN_VARIABLE: "postgresql://u:p@h/d"}


def test_publish_options_reach_rules_by_reference_and_their_secrets_are_masked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path, "platform: {embedded: x}\npublish: env:THE_OPTIONS")
    own = profile.load("own", tmp_path)
    with pytest.raises(InvalidConfiguration, match=r"publish options from .* THE_OPTIONS"):
        own.credentials()
    text = '{"user": "jane", "secret": "w0rd-1", "client_kwargs": {"session_token": "w0rd-2"}}'
    monkeypatch.setenv("THE_OPTIONS", text)
    assert own.credentials() == {PUBLISH_VARIABLE: text}
    assert set(redact.secrets_in(own.credentials())) == {text, "w0rd-1", "w0rd-2"}
    assert set(redact.secrets_in({PUBLISH_VARIABLE: "no JSON"})) == {"no JSON"}
    assert redact.secrets_in({}) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("platform: {dsn: 'postgresql://u:p@h/d'}", "platform.dsn"),
        ("platform: {}", "platform"),
        ("platform: {dsn: 'env:A', embedded: x}", "platform"),
        ("platform: {embedded: x}\nexecutor: cloud", "executor"),
        ("platform: {embedded: x}\nunknown: 1", "unknown"),
        ("platform: {embedded: x}\npublish: '{}'", "publish"),
        ("[", "no YAML"),
        ("", "own.yaml"),
    ],
)
def test_a_wrong_profile_is_an_error_that_says_where(tmp_path: Path, text: str, said: str) -> None:
    _write(tmp_path, text)
    with pytest.raises(InvalidConfiguration, match=said):
        profile.load("own", tmp_path)


def test_an_unknown_profile_is_refused_with_those_there_are(tmp_path: Path) -> None:
    _write(tmp_path, "platform: {embedded: x}")
    with pytest.raises(NotFound, match="local, own, platform"):
        profile.load("other", tmp_path)
