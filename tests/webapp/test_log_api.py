"""``/jobs/{id}/log``."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from tests.webapp.reading import get, messages, run
from tests.webapp.writing import Api, at


@pytest.fixture
def job(api: Api) -> tuple[str, Path]:
    """A job that has its place, and its log."""
    job_id = api.job()
    directory = api.service.place(api.row(job_id))
    return job_id, directory.logs / "job.log"


def test_the_log_is_there_whole_in_parts_and_from_its_end(api: Api, job: tuple[str, Path]) -> None:
    job_id, log = job
    log.write_text("0123456789 é\n")
    viewer, path = api.token("viewer"), f"/jobs/{job_id}/log"
    whole = get(api, path, viewer)
    assert (whole.status_code, whole.text) == (200, "0123456789 é\n")
    assert whole.headers["Content-Type"] == "text/plain; charset=utf-8"
    for asked, status, expected, where in (
        ("bytes=2-4", 206, "234", "bytes 2-4/14"),
        ("bytes=-3", 206, "é\n", "bytes 11-13/14"),
        ("bytes=13-", 206, "\n", "bytes 13-13/14"),
        ("bytes=0-1,3-4", 200, "0123456789 é\n", None),
        ("lines=1-2", 200, "0123456789 é\n", None),
    ):
        answer = get(api, path, viewer, Range=asked)
        assert (answer.status_code, answer.headers.get("Content-Range")) == (status, where), asked
        assert answer.text == expected
    beyond = get(api, path, viewer, Range="bytes=14-")
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, "bytes */14")
    with log.open("a") as stream:
        stream.write("more\n")
    assert get(api, path, viewer, Range="bytes=14-").text == "more\n"


def test_a_log_that_is_not_there_yet_is_empty(api: Api, job: tuple[str, Path]) -> None:
    answer = get(api, f"/jobs/{job[0]}/log", api.token("viewer"))
    assert (answer.status_code, answer.data) == (200, b"")
    stage = get(api, f"/jobs/{job[0]}/log?stage=second", api.token("viewer"))
    assert (stage.status_code, stage.data) == (200, b"")


def test_a_stage_has_a_log_of_its_own(api: Api) -> None:
    job_id = api.job(params={"command": "echo said by second"})
    run(api, job_id)
    viewer = api.token("viewer")
    assert get(api, f"/jobs/{job_id}/log?stage=second", viewer).text == "said by second\n"
    assert "rule second" in get(api, f"/jobs/{job_id}/log", viewer).text
    missing = get(api, f"/jobs/{job_id}/log?stage=fourth", viewer)
    assert missing.status_code == 404
    assert "first, second, third" in missing.json["detail"]  # type: ignore[index]
    for name in ("../job", "..%2Fjob", "job.log%2F..", "."):
        assert get(api, f"/jobs/{job_id}/log?stage={name}", viewer).status_code == 404


def test_a_log_is_followed_as_it_is_written_until_the_job_ends(
    api: Api, job: tuple[str, Path]
) -> None:
    job_id, log = job
    stream = messages(get(api, f"/jobs/{job_id}/log?follow=1", api.token()))
    assert "retry" in next(stream)
    log.write_bytes("one é".encode()[:-1])  # in the middle of a character
    assert next(stream)["data"] == {"text": "one ", "offset": 4}
    with log.open("ab") as file:
        file.write("é\n".encode()[1:])
    assert next(stream)["data"] == {"text": "é\n", "offset": 7}
    with log.open("ab") as file:
        file.write(b"last \xff")
    api.end(job_id)
    *said, last = stream
    assert "".join(message["data"]["text"] for message in said) == "last \ufffd"
    assert (last["event"], last["data"]) == ("end", {"status": "succeeded"})


@pytest.mark.parametrize("how", ["truncated", "replaced"])
def test_following_survives_that_the_log_is_begun_anew(
    api: Api, job: tuple[str, Path], how: str
) -> None:
    job_id, log = job
    log.write_text("first attempt\n")
    stream = messages(get(api, f"/jobs/{job_id}/log?follow=1", api.token()))
    next(stream)
    assert next(stream)["data"]["text"] == "first attempt\n"
    if how == "replaced":
        other = log.with_name("other")
        other.write_text("second attempt, which says more\n")
        other.replace(log)
    else:
        log.write_text("second\n")
    assert next(stream)["event"] == "restart"
    assert next(stream)["data"]["text"].startswith("second")


def test_a_client_that_comes_back_goes_on_where_it_was(api: Api, job: tuple[str, Path]) -> None:
    job_id, log = job
    log.write_text("one\n")
    stream = messages(get(api, f"/jobs/{job_id}/log?follow=1", api.token()))
    next(stream)
    place = next(stream)["id"]
    with log.open("a") as file:
        file.write("two\n")
    api.end(job_id)
    again = {"Last-Event-ID": place}
    found = list(messages(get(api, f"/jobs/{job_id}/log?follow=1", api.token(), **again)))
    assert [m["data"]["text"] for m in found if m.get("event") == "log"] == ["two\n"]
    other = log.with_name("other")
    other.write_text("new\n")
    other.replace(log)
    found = list(messages(get(api, f"/jobs/{job_id}/log?follow=1", api.token(), **again)))
    assert [m.get("event") for m in found] == [None, "restart", "log", "end"]
    offset = get(api, f"/jobs/{job_id}/log?follow=1&offset=2", api.token())
    assert [m["data"]["text"] for m in messages(offset) if m.get("event") == "log"] == ["w\n"]
    wrong = {"Last-Event-ID": "../x"}
    assert at(get(api, f"/jobs/{job_id}/log?follow=1", api.token(), **wrong)) == ["/Last-Event-ID"]


def _append(api: Api, job_id: str, text: Any, kind: str = "text/plain", **token: Any) -> Any:
    headers = api.token(**{"role": "worker", "name": "cluster", **token})
    path = f"/api/v1/jobs/{job_id}/log"
    return api.client.post(path, data=text, content_type=kind, headers=headers)


def test_a_worker_elsewhere_appends_to_the_log(api: Api, job: tuple[str, Path]) -> None:
    job_id, log = job
    assert _append(api, job_id, "one\n").status_code == 201
    answer = _append(api, job_id, "zwei é\n".encode())
    assert answer.json == {"bytes": 8, "size": 12}
    assert log.read_text() == "one\nzwei é\n"


def test_what_is_appended_is_whole_or_not_there(api: Api, job: tuple[str, Path]) -> None:
    job_id, log = job
    assert _append(api, job_id, b"cut off \xc3").status_code == 422
    assert _append(api, job_id, b"\xff\n").status_code == 422
    assert _append(api, job_id, b"x" * 4_000_001).status_code == 413
    assert _append(api, job_id, "{}", "application/json").status_code == 415
    body = io.BytesIO(b"only half of what was announced")
    broken = api.client.post(
        f"/api/v1/jobs/{job_id}/log",
        input_stream=body,
        content_type="text/plain",
        headers=api.token("worker"),
        environ_overrides={"CONTENT_LENGTH": "1000"},
    )
    assert broken.status_code == 400
    assert not log.exists()


def test_only_a_worker_of_the_instance_may_append(api: Api, job: tuple[str, Path]) -> None:
    assert _append(api, job[0], "x", role="operator").status_code == 403
    assert _append(api, job[0], "x", instance="other").status_code == 404
    with api.service.db.write() as session:
        row = session.get(type(api.row(job[0])), job[0])
        assert row is not None
        row.admitted = "2026-11-22T14:00:00.000Z"
    assert _append(api, job[0], "x").status_code == 409
