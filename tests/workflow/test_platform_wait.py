"""A platform whose server does not answer is waited for; one that refuses is not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError
from stagekit import patience, platform
from stagekit.platform_names import read_names
from stagekit.problems import StageError

from tests.postgresql import Server, cluster, running

COMMON = Path(__file__).parents[2] / "workflow" / "common"
READY = "import sys; from stagekit import platform; platform.ready(sys.argv[1], embedded=False)"
NAMES = (
    "import sys; from stagekit.platform_names import read_names;"
    " print(read_names(sys.argv[1], None))"
)
SAID = "the platform cannot be reached, trying again in"


@pytest.fixture(scope="module")
def stopped() -> Iterator[Server]:
    """Give a server that is not running."""
    with cluster() as server:
        yield server


def _start(code: str, dsn: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(COMMON), "JOBRUNNER_PLATFORM_WAIT": "60"}
    return subprocess.Popen(
        [sys.executable, "-c", code, dsn], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("code", "answer"), [(READY, "is no ixmp4 platform"), (NAMES, "None")], ids=["ready", "names"]
)
def test_a_server_that_starts_after_the_first_try_is_reached(
    stopped: Server, code: str, answer: str
) -> None:
    process = _start(code, stopped.dsn("postgres"))
    assert process.stdout is not None
    assert process.stdout.readline().startswith(SAID)
    with running(stopped):
        rest = process.stdout.read()
        process.wait()
    assert answer in rest, rest


def test_a_server_that_stays_away_is_one_clear_error_after_the_wait(
    stopped: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(patience.time, "sleep", pauses.append)
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(patience.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setenv(patience.WAIT_VARIABLE, "60")
    dsn = stopped.dsn("postgres")
    with pytest.raises(StageError) as caught, platform.explained(dsn):
        platform.ready(dsn, embedded=False)
    assert caught.value.code == "platform_unreachable"
    assert capsys.readouterr().out.count(SAID) == len(pauses) == 5
    middle = [0.5, 1.0, 2.0, 4.0, 8.0]
    assert all(m * 0.75 <= p <= m * 1.25 for m, p in zip(middle, pauses, strict=True)), pauses


def test_a_refused_login_and_a_missing_database_are_not_tried_again(
    postgres: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(patience.WAIT_VARIABLE, "60")
    for dsn, code in (
        (postgres.dsn("postgres", password="wrong"), "platform_login"),
        (postgres.dsn("nowhere"), "platform_missing"),
    ):
        with pytest.raises(StageError) as caught:
            platform.ready(dsn, embedded=False)
        assert caught.value.code == code
        with pytest.raises(StageError):
            read_names(dsn, None)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("text", "again"),
    [
        ("connection failed: Connection refused", True),
        ("FATAL:  the database system is starting up", True),
        ("FATAL:  sorry, too many clients already", True),
        ('FATAL:  password authentication failed for user "x"', False),
        ('FATAL:  no pg_hba.conf entry for host "1.2.3.4"', False),
    ],
)
def test_only_what_passes_is_tried_again(text: str, again: bool) -> None:
    assert patience.unanswered(text) is again


def test_the_wait_must_be_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(patience.WAIT_VARIABLE, "soon")
    with pytest.raises(StageError) as caught:
        patience.platform_wait()
    assert caught.value.code == "bad_setting"
    assert "soon" in caught.value.message


def test_a_file_is_not_waited_for(tmp_path: Path) -> None:
    platform.reached(f"sqlite:///{tmp_path}/nowhere/x.db", wait=60)
    with pytest.raises(OperationalError):
        platform.engine(f"sqlite:///{tmp_path}/nowhere/x.db").connect()
