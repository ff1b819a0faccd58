"""Which token goes where: a token of the user's file goes to its own service only."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.errors import InvalidConfiguration
from webapp.cli.remote import access

HERE, THERE = "https://here.example.org", "https://there.example.org"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in (access.SERVER_VARIABLE, access.TOKEN_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "jobrunner" / "client.yaml"
    path.parent.mkdir()
    path.touch(mode=0o600)
    return path


def test_the_environment_goes_before_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(f"server: {HERE}\ntoken: jr_file\n")
    assert (access.find(None).server, access.find(None).token) == (HERE, "jr_file")
    monkeypatch.setenv(access.SERVER_VARIABLE, THERE + "/")
    monkeypatch.setenv(access.TOKEN_VARIABLE, "jr_environment")
    assert (access.find(None).server, access.find(None).token) == (THERE, "jr_environment")
    assert access.find(HERE).server == HERE


def test_without_anything_it_is_this_machine(file: Path) -> None:
    file.write_text("token: jr_mine\n")
    assert access.find(None).server == access.DEFAULT_SERVER
    assert access.find(None).token == "jr_mine"


def test_a_token_of_the_file_goes_to_no_other_service(file: Path) -> None:
    file.write_text(f"server: {HERE}\ntoken: jr_here\nservers:\n  {THERE}/: {{token: jr_there}}\n")
    assert access.find(None).token == access.find(HERE.upper().replace("HTTPS", "https")).token
    assert access.find(THERE).token == "jr_there"
    for other in ("https://other.example.org", "http://here.example.org", HERE + ":8443"):
        with pytest.raises(InvalidConfiguration, match="There is no token for"):
            access.find(other)


def test_a_token_may_stand_in_a_file_of_its_own(file: Path) -> None:
    file.write_text("token_file: token.txt\n")
    kept = file.with_name("token.txt")
    with pytest.raises(InvalidConfiguration, match="cannot be read"):
        access.find(None)
    kept.write_text("jr_kept\n")
    kept.chmod(0o600)
    assert access.find(None).token == "jr_kept"
    kept.chmod(0o640)
    with pytest.raises(InvalidConfiguration, match="chmod 600"):
        access.find(None)


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o666])
def test_a_file_that_others_may_read_is_refused(file: Path, mode: int) -> None:
    file.write_text("token: jr_secret\n")
    file.chmod(mode)
    with pytest.raises(InvalidConfiguration, match=f"mode {mode:o}.*chmod 600") as refused:
        access.find(None)
    assert "jr_secret" not in refused.value.message
    file.write_text(f"server: {HERE}\n")
    with pytest.raises(InvalidConfiguration, match="There is no token"):
        access.find(None)  # without a token in it anybody may read it


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("token: [1", "cannot be read as YAML"),
        ("- token", "must be a mapping"),
        ("tokens: x", "there is no key tokens"),
        ("token: 5", "must be a text"),
        ("token: a\ntoken_file: b", "not both"),
        ("servers: {8000: {token: x}}", "must be an address"),
        ("servers: [a]", "must be a mapping from addresses"),
        ("servers: {'https://a': {tokn: x}}", "there is no key tokn"),
        ("token: 'two words'", "is no token"),
    ],
)
def test_a_wrong_file_says_where(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    with pytest.raises(InvalidConfiguration, match=said) as refused:
        access.find(None)
    assert str(file) in refused.value.message
    assert "two words" not in refused.value.message
