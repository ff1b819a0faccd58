"""/metrics comes in time while the database hangs, and for many who ask at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.webapp.api_home import Api, running
from webapp import metrics, tokens
from webapp.metrics import patience


@pytest.fixture
def api(tmp_path: Path, sqlite_template: Path) -> Iterator[Api]:
    (tmp_path / "service.db").write_bytes(sqlite_template.read_bytes())
    with running(tmp_path, f"sqlite:///{tmp_path / 'service.db'}") as api:
        yield api


def test_a_token_that_is_known_gets_the_page_while_the_database_hangs(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, unknown = api.token("operator"), api.token("operator", acting=True)
    answer = api.call("GET", "/metrics", known)
    assert (answer.status_code, "RateLimit" in str(answer.headers)) == (200, True)
    over = threading.Event()

    def hang(*_: Any) -> None:
        over.wait(30)

    monkeypatch.setattr(tokens, "authenticate", hang)
    monkeypatch.setattr(metrics, "_stored", hang)
    began = time.monotonic()
    answer = api.call("GET", "/metrics", known)
    took = time.monotonic() - began
    denied = api.call("GET", "/metrics", unknown)
    over.set()
    assert (answer.status_code, "jobrunner_database_up 0.0" in answer.text) == (200, True)
    assert took < 10, "seconds that Prometheus waits"
    assert denied.status_code == 503


def test_many_who_ask_at_once_wait_for_each_other() -> None:
    answers: list[int] = []

    def answer() -> int:
        time.sleep(0.1)
        return 1

    def ask() -> None:
        answers.append(patience.within(10, answer))

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [1] * 12
