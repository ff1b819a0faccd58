"""The example takes webhooks only from the service, and lets no other site ask in its place."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from flask.testing import FlaskClient
from standardwebhooks import Webhook

from tests.browser.explorer import EXAMPLE

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = json.dumps(
    {
        "id": "e1",
        "type": "ixmp.jobrunner.job.succeeded",
        "data": {"job": {"id": "01", "type": "toy", "instance": "explorer", "user": "jane"}},
    }
)
MODULES = ("explorer", "changes", "runner_api", "webhooks")


class Example:
    """The application in this process; its job runner is a function."""

    def __init__(self) -> None:
        import changes
        import explorer
        import runner_api
        import webhooks

        self.told: list[Any] = []
        self.asked: list[httpx.Request] = []
        self.answer = httpx.Response(200, json={"items": []})
        runner = runner_api.Runner("http://runner", "jr_secret", "toy", "explorer")
        runner._client._transport = httpx.MockTransport(self._asked)
        changes.Changes.tell = lambda _, *told: self.told.append(told)
        app = explorer.create_app(runner, webhooks.secret_bytes(SECRET), "jane")
        self.client: FlaskClient = app.test_client()

    def _asked(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append(request)
        return self.answer

    def deliver(self, body: str = BODY, **changed: str) -> int:
        """Send a webhook as the service does, but for what is changed."""
        given = {**signed(body), **{f"webhook-{n}": v for n, v in changed.items()}}
        return self.client.post("/webhooks", data=body, headers=given).status_code


def signed(
    body: str, identifier: str = "e1", at: float = 0, secret: str = SECRET
) -> dict[str, str]:
    moment = datetime.fromtimestamp(int(time.time() + at), UTC)
    return {
        "webhook-id": identifier,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign(identifier, moment, body),
    }


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Example]:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    yield Example()
    for name in MODULES:
        sys.modules.pop(name, None)


def test_a_webhook_of_the_service_is_told_to_the_pages_of_its_user_once(example: Example) -> None:
    assert [example.deliver(), example.deliver()] == [204, 204]  # the second is a repetition
    assert example.told == [("jane", {"id": "01"})]


def test_jobs_of_other_types_and_instances_are_none_of_its_business(example: Example) -> None:
    for name in ("type", "instance"):
        document = json.loads(BODY)
        document["data"]["job"][name] = "other"
        assert example.deliver(json.dumps(document)) == 204
    assert example.told == []


@pytest.mark.parametrize(
    "changed",
    [
        {"signature": ""},
        {"signature": "v1,"},
        {"signature": "v1,AAAA"},
        {"signature": "v1,é"},
        {"id": "e2"},
        {"id": ""},
        {"timestamp": "0"},
        {"timestamp": "soon"},
        {"timestamp": "²"},
        {"timestamp": str(int(time.time()) + 30)},
    ],
)
def test_what_is_not_signed_is_refused(example: Example, changed: dict[str, str]) -> None:
    assert example.deliver(**changed) == 401
    assert example.told == []


def test_another_body_key_or_time_is_refused(example: Example) -> None:
    other = "whsec_" + "QUFB" * 8
    headers = [signed(BODY + " "), signed(BODY, secret=other)]
    headers += [signed(BODY, at=shift) for shift in (-301, 302)]
    for given in headers:
        assert example.client.post("/webhooks", data=BODY, headers=given).status_code == 401
    assert example.told == []


def test_while_a_secret_changes_one_of_several_signatures_suffices(example: Example) -> None:
    right = signed(BODY)["webhook-signature"]
    assert example.deliver(signature=f"v1,AAAA v2,x {right}") == 204
    assert len(example.told) == 1


def test_no_other_site_asks_in_the_name_of_a_user(example: Example) -> None:
    foreign = (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
    )
    for headers in foreign:
        assert example.client.post("/api/jobs", headers=headers).status_code == 403
        assert example.client.get("/api/jobs", headers=headers).status_code == 403
    for own in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://localhost"}, {}):
        assert example.client.get("/api/jobs", headers=own).status_code == 200
    assert len(example.asked) == 3


def test_the_user_and_the_key_of_the_form_are_passed_on(example: Example) -> None:
    example.answer = httpx.Response(202, json={"id": "01"})
    form = {"params": '{"word": "a"}', "text": (io.BytesIO(b"one"), "words.txt")}
    sent = {"Idempotency-Key": "k1", "X-Jobrunner-User": "root"}
    answer = example.client.post("/api/jobs", data=form, headers=sent)
    assert answer.status_code == 202
    (request,) = example.asked
    assert request.headers["X-Jobrunner-User"] == "jane"
    assert request.headers["Idempotency-Key"] == "k1"
    assert request.headers["Authorization"] == "Bearer jr_secret"
    assert b'filename="words.txt"' in request.content
    assert example.client.post("/api/jobs", data={"params": "{}"}).status_code == 400


def test_a_job_of_somebody_else_is_not_shown(example: Example) -> None:
    example.answer = httpx.Response(200, json={"id": "01", "type": "toy", "user": "joe"})
    assert example.client.get("/api/jobs/01").status_code == 404
    example.answer = httpx.Response(200, json={"id": "01", "type": "toy", "user": "jane"})
    assert example.client.get("/api/jobs/01").status_code == 200


def test_an_error_of_the_job_runner_reaches_the_page_as_it_is(example: Example) -> None:
    problem = {"detail": "No.", "problems": [{"pointer": "/params/word", "message": "too long"}]}
    example.answer = httpx.Response(429, json=problem, headers={"Retry-After": "7"})
    answer = example.client.get("/api/jobs")
    assert (answer.status_code, answer.json) == (429, problem)
    assert answer.headers["Retry-After"] == "7"
    example.answer = httpx.Response(502, text="<h1>Bad gateway</h1>")
    assert "502" in example.client.get("/api/jobs").json["detail"]  # type: ignore[index]
