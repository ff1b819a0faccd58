"""Idempotency-Key: a request that is sent twice gives one job."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from tests.webapp.writing import DOCUMENT, FILE, Api
from webapp.models import Idempotency

pytestmark = pytest.mark.parametrize("api_settings", ["sqlite", "postgresql"], indirect=True)
KEY = "0f9c-7"


def test_the_same_key_and_request_give_the_same_job(api: Api) -> None:
    headers = {**api.token(), "Idempotency-Key": KEY}
    first = api.submit(headers, {"type": "toy", "params": {"word": "a"}})
    again = api.submit(headers, {"params": {"word": "a"}, "tags": [], "type": "toy"})
    assert (first.status_code, again.status_code) == (202, 202)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json["id"] == first.json["id"]
    assert again.headers["Location"] == first.headers["Location"]
    assert api.count() == 1
    assert list((api.home / "uploads").iterdir()) == []


@pytest.mark.parametrize(
    ("document", "content"),
    [({"priority": 1}, b"one two\n"), ({"params": {"word": "b"}}, b"one two\n"), ({}, b"two\n")],
)
def test_the_same_key_for_another_request_is_a_conflict(
    api: Api, document: dict[str, object], content: bytes
) -> None:
    headers = {**api.token(), "Idempotency-Key": KEY}
    first = api.submit(headers).json["id"]
    answer = api.submit(headers, {**DOCUMENT, **document}, {"text": ("x.txt", content)})
    assert (answer.status_code, answer.json["code"]) == (409, "idempotency_conflict")
    assert first in answer.json["detail"]
    assert api.count() == 1


def test_a_key_belongs_to_its_token_and_to_the_user_that_it_was_used_for(api: Api) -> None:
    service = {**api.token(name="se", acting=True), "Idempotency-Key": KEY}
    assert api.submit({**service, "X-Jobrunner-User": "jane"}).status_code == 202
    assert api.submit({**service, "X-Jobrunner-User": "joe"}).status_code == 409
    assert api.submit({**api.token(), "Idempotency-Key": KEY}).status_code == 202
    assert api.count() == 2


def test_a_key_is_forgotten_after_its_time(api: Api) -> None:
    headers = {**api.token(), "Idempotency-Key": KEY}
    first = api.submit(headers).json["id"]

    def turn_back(hours: float) -> None:
        long_ago = datetime.now(UTC) - timedelta(hours=hours)
        text = long_ago.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with api.service.db.write() as session:
            session.execute(update(Idempotency).values(created=text))

    turn_back(23.9)
    assert api.submit(headers).json["id"] == first
    turn_back(24.1)
    assert api.submit(headers).json["id"] != first
    assert api.submit(headers, {**DOCUMENT, "priority": 1}).status_code == 409


def test_a_request_that_was_refused_does_not_use_up_its_key(api: Api) -> None:
    headers = {**api.token(), "Idempotency-Key": KEY}
    assert api.submit(headers, files={}).status_code == 422
    assert api.submit(headers, query="?plan=true").status_code == 200
    assert api.submit(headers, files=FILE).status_code == 202


def test_many_equal_requests_at_once_give_one_job(api: Api) -> None:
    headers = {**api.token(), "Idempotency-Key": KEY}
    api.submit(api.token())  # what is imported late is imported now

    def send(_: int) -> tuple[int, str]:
        answer = api.submit(headers)
        return answer.status_code, answer.json["id"]

    with ThreadPoolExecutor(8) as threads:
        answers = set(threads.map(send, range(16)))
    assert len(answers) == 1
    assert api.count() == 2
    assert [name for name in api.left_behind() if "draft" in name] == []
    days = (api.home / "jobs").glob("*/*/*")
    assert sum(1 for day in days for _ in day.iterdir()) == 2  # no claimed id is left either


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ä"])
def test_a_key_that_is_none_is_refused(api: Api, key: str) -> None:
    answer = api.submit({**api.token(), "Idempotency-Key": key})
    assert answer.status_code in (400, 422)
    assert api.count() == 0


def test_the_longest_key_is_accepted(api: Api) -> None:
    assert api.submit({**api.token(), "Idempotency-Key": "~" * 255}).status_code == 202
