"""A credential in the log of a job that still runs is masked, however the log is asked for."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from tests.webapp.reading import get, messages
from tests.webapp.writing import Api
from webapp import jobs

SECRET = "cänary-s3cret"
DSN = f"postgresql://me:{SECRET}@host/db"


@pytest.fixture
def log(api: Api, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Path]:
    """A job whose profile has an address with a password, and its log."""
    home = api.service.home.path
    (home / "config" / "profiles" / "plain.yaml").write_text(
        "platform: {dsn: 'env:THE_DSN'}\nenvironments: none\n"
    )
    monkeypatch.setenv("THE_DSN", DSN)
    job_id = api.job()
    log = api.service.place(api.row(job_id)).logs / "job.log"
    log.write_text(f"connecting to {DSN}\nagain: {SECRET}!\n")
    return job_id, log


def test_the_whole_log_has_stars_and_the_same_length(api: Api, log: tuple[str, Path]) -> None:
    answer = get(api, f"/jobs/{log[0]}/log", api.token())
    assert len(answer.data) == log[1].stat().st_size
    stars = "*" * len(SECRET.encode())
    assert answer.text == f"connecting to {'*' * len(DSN.encode())}\nagain: {stars}!\n"


def test_no_part_of_it_shows_more_wherever_it_begins(api: Api, log: tuple[str, Path]) -> None:
    whole = get(api, f"/jobs/{log[0]}/log", api.token()).data
    for first in range(0, len(whole) - 5, 3):
        part = get(api, f"/jobs/{log[0]}/log", api.token(), Range=f"bytes={first}-{first + 4}")
        assert part.data == whole[first : first + 5]


def test_a_file_a_zip_and_a_stream_of_it_are_masked_too(api: Api, log: tuple[str, Path]) -> None:
    job_id, _ = log
    assert SECRET not in get(api, f"/jobs/{job_id}/files/logs/job.log", api.token()).text
    packed = zipfile.ZipFile(io.BytesIO(get(api, f"/jobs/{job_id}/files.zip", api.token()).data))
    text = packed.read(f"{job_id}/logs/job.log").decode()
    assert "again: ***" in text
    assert SECRET not in text
    jobs.cancel(api.service, job_id, "jane")
    log[1].write_text("the runner has masked what is left\n")
    stream = list(messages(get(api, f"/jobs/{job_id}/log?follow=1", api.token())))
    assert SECRET not in str(stream)


def test_a_stream_shows_no_secret_that_comes_in_one_piece(api: Api, log: tuple[str, Path]) -> None:
    stream = messages(get(api, f"/jobs/{log[0]}/log?follow=1", api.token()))
    assert "retry" in next(stream)
    assert "again: ***" in next(stream)["data"]["text"]


def test_an_interrupted_attempt_leaves_no_secret_in_a_log(api: Api, log: tuple[str, Path]) -> None:
    job_id, path = log
    directory = api.service.directory(api.row(job_id))
    with api.service.db.write() as session:
        jobs.get(session, job_id, lock=True).claimed_by = "a worker that died"
    jobs.interrupted(api.service, job_id)
    assert SECRET not in path.read_text()
    assert api.row(job_id).status == "queued"
    assert next(directory.events.read())["n"] == 1
