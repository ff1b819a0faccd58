"""Credentials in what an attempt has left: stars over each, and nothing else touched."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from runner import redact
from runner.redact import redact_logs

_SECRETS = redact.secrets_of("postgresql://u:s3cr%40t@db/x")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    found = tmp_path / "logs" / "job.log"
    found.parent.mkdir()
    return found


@pytest.mark.parametrize("place", range(30, 34))
def test_a_credential_is_found_wherever_a_piece_of_the_file_ends(
    monkeypatch: pytest.MonkeyPatch, log: Path, place: int
) -> None:
    monkeypatch.setattr(redact, "_PIECE", 32)
    text = "." * place + "s3cr@t" + "." * 40 + "postgresql://u:s3cr%40t@db/x" + "." * place
    log.write_text(text)
    redact_logs(log.parents[1], _SECRETS)
    assert log.read_text() == text.replace(_SECRETS[0], "*" * 28).replace("s3cr@t", "*" * 6)


def test_what_is_appended_meanwhile_is_kept(tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"s3cr@t" + b"." * 20_000_000 + b"\n")
    size, number, over = events.stat().st_size, 0, threading.Event()

    def append() -> None:
        nonlocal number
        while not over.wait(0.001):
            with events.open("ab") as stream:
                stream.write(b"+")
            number += 1

    writer = threading.Thread(target=append)
    writer.start()
    redact_logs(tmp_path, _SECRETS)
    over.set()
    writer.join()
    assert number > 0
    assert events.stat().st_size == size + number
    assert events.read_bytes().startswith(b"******.")
