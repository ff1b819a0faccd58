"""``/jobs/{id}/events``: JSON, streams, and what a worker elsewhere says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.webapp.reading import SSE, get, messages, say
from tests.webapp.writing import Api, at
from webapp import jobs
from webapp.api import create_app, streams


def test_events_come_in_pages_since_a_number(api: Api) -> None:
    job_id, viewer = api.job(), api.token("viewer")
    for n in range(4):
        say(api, job_id, "note", message=f"note {n}")
    first = get(api, f"/jobs/{job_id}/events?limit=2", viewer).json
    assert first is not None
    assert [item["n"] for item in first["items"]] == [1, 2]
    assert (first["next"], first["more"]) == (2, True)
    rest = get(api, f"/jobs/{job_id}/events?since={first['next']}", viewer).json
    assert rest is not None
    assert [item["n"] for item in rest["items"]] == [3, 4, 5]
    assert rest["items"][-1]["message"] == "note 3"
    assert (rest["next"], rest["more"]) == (5, False)
    none = get(api, f"/jobs/{job_id}/events?since=5", viewer).json
    assert none == {"items": [], "next": 5, "more": False}


def test_a_stream_gives_events_as_they_happen_and_ends_with_the_job(api: Api) -> None:
    job_id = api.job()
    answer = get(api, f"/jobs/{job_id}/events", api.token("viewer"), **SSE)
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert answer.headers["Cache-Control"] == "no-cache"
    stream = messages(answer)
    assert next(stream)["retry"] == "2000"
    first = next(stream)
    assert (first["id"], first["event"], first["data"]["status"]) == ("1", "status", "queued")
    say(api, job_id, "note", message="line one\nline two é")
    second = next(stream)
    assert (second["event"], second["data"]["message"]) == ("note", "line one\nline two é")
    jobs.cancel(api.service, job_id, "jane")
    assert next(stream)["data"]["status"] == "cancelled"
    last = next(stream)
    assert (last["event"], last["data"], last["id"]) == ("end", {"status": "cancelled"}, "3")
    assert list(stream) == []


def test_a_client_that_comes_back_misses_nothing_and_gets_nothing_twice(api: Api) -> None:
    job_id = api.job()
    say(api, job_id, "note", message="while it was away")
    api.end(job_id)
    answer = get(
        api, f"/jobs/{job_id}/events?since=0", api.token(), **SSE, **{"Last-Event-ID": "1"}
    )
    found = list(messages(answer))[1:]
    assert [message["event"] for message in found] == ["note", "status", "end"]


def test_a_silent_stream_sends_comments_and_ends_after_an_hour(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT", 0.0)
    stream = messages(get(api, f"/jobs/{api.job()}/events", api.token(), **SSE))
    assert [next(stream).get("event") for _ in range(2)] == [None, "status"]
    assert next(stream)["comment"] == ": still here"
    clock = iter([0.0, 0.0, 3599.0, 3600.0])
    pulse = streams.Pulse(lambda: next(clock))
    assert [pulse.over, pulse.over] == [False, True]


def test_a_stream_ends_when_its_job_is_deleted(api: Api) -> None:
    job_id = api.job()
    stream = messages(get(api, f"/jobs/{job_id}/events", api.token(), **SSE))
    next(stream)
    next(stream)
    jobs.cancel(api.service, job_id, "jane")
    jobs.delete(api.service, job_id)
    assert next(stream)["data"] == {"status": "deleted"}


def test_there_are_only_as_many_streams_as_threads_to_spare(api: Api) -> None:
    settings = api.service.settings.model_copy(update={"web_threads": 4})
    object.__setattr__(api.service, "settings", settings)
    api.app = create_app(api.service)
    api.client = api.app.test_client()
    job_id, token = api.job(), api.token()
    path = f"/jobs/{job_id}/events"
    opened = [get(api, path, token, **SSE) for _ in range(settings.max_streams)]
    refused = get(api, path, token, **SSE)
    assert refused.status_code == 503
    assert refused.json["code"] == "too_many_streams"  # type: ignore[index]
    assert int(refused.headers["Retry-After"]) > 0
    assert get(api, path, token).status_code == 200  # JSON takes no place
    assert get(api, f"/jobs/{job_id}/log?follow=1", token).status_code == 503
    opened[0].close()  # before anything of it was read
    next(messages(opened[1]))
    opened[1].close()
    again = [get(api, path, token, **SSE) for _ in range(2)]
    assert [answer.status_code for answer in again] == [200, 200]


@pytest.mark.parametrize("given", ["x", "-1", "1.5", "99999999999"])
def test_a_wrong_last_event_id_is_refused(api: Api, given: str) -> None:
    answer = get(
        api, f"/jobs/{api.job()}/events", api.token(), **SSE, **{"Last-Event-ID": given}
    )  # fmt: skip
    assert answer.status_code == 422
    assert at(answer) == ["/Last-Event-ID"]


def _post(api: Api, job_id: str, body: Any, **token: Any) -> Any:
    headers = api.token(**{"role": "worker", "name": "cluster", **token})
    return api.client.post(f"/api/v1/jobs/{job_id}/events", json=body, headers=headers)


def test_a_worker_elsewhere_tells_what_happened_and_when(api: Api) -> None:
    job_id = api.job()
    time = "2026-11-22T15:00:00+01:00"
    said = [
        {"kind": "status", "status": "running", "time": time},
        {"kind": "progress", "done": 1, "total": 4, "time": time},
        {"kind": "note", "message": "half way"},
        {
            "kind": "status",
            "status": "failed",
            "error": {"code": "solver", "message": "infeasible"},
        },
    ]
    for body in said:
        answer = _post(api, job_id, body)
        assert answer.status_code == 201, answer.text
    assert answer.json["status"] == "failed"
    assert answer.json["error"]["code"] == "solver"
    events = get(api, f"/jobs/{job_id}/events?since=1", api.token()).json
    assert events is not None
    assert [event["kind"] for event in events["items"]] == [body["kind"] for body in said]
    assert events["items"][0]["time"] == "2026-11-22T14:00:00.000Z"
    assert {event["source"] for event in events["items"]} == {"cluster"}
    directory = list(api.service.directory(api.row(job_id)).events.read())
    assert [event["kind"] for event in directory][1:] == [body["kind"] for body in said]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/kind"]),
        ({"kind": "stage"}, ["/kind"]),
        ({"kind": "status"}, ["/status"]),
        ({"kind": "status", "status": "stopping"}, ["/status"]),
        ({"kind": "status", "status": "running", "done": 1}, ["/done"]),
        ({"kind": "note", "message": "x", "error": {"code": "c", "message": "m"}}, ["/error"]),
        ({"kind": "progress", "done": 1}, ["/total"]),
        ({"kind": "progress", "done": 2, "total": 1}, ["/done"]),
        ({"kind": "note", "status": "running"}, ["/message", "/status"]),
        ({"kind": "note", "message": "x", "time": "now"}, ["/time"]),
        ({"kind": "note", "message": "x", "colour": "red"}, ["/colour"]),
    ],
)  # fmt: skip
def test_a_wrong_event_is_refused_with_its_places(api: Api, body: Any, pointers: list[str]) -> None:
    job_id = api.job()
    answer = _post(api, job_id, body)
    assert answer.status_code == 422
    assert at(answer) == pointers
    assert api.row(job_id).events_seen == 1


def test_only_a_worker_of_the_instance_may_tell_of_events(api: Api) -> None:
    job_id, note = api.job(), {"kind": "note", "message": "x"}
    assert _post(api, job_id, note, role="operator").status_code == 403
    assert _post(api, job_id, note, instance="other").status_code == 404
    assert _post(api, job_id, note, instance="default").status_code == 201


def test_a_status_that_cannot_follow_is_a_conflict(api: Api) -> None:
    job_id = api.job()
    answer = _post(api, job_id, {"kind": "status", "status": "succeeded"})
    assert answer.status_code == 409
    assert api.row(job_id).status == "queued"
