"""Every error has one shape, says what was wrong, and gives nothing away."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import request
from sqlalchemy import text
from werkzeug.test import TestResponse

from tests.webapp.api_home import Api, running
from webapp.api.schemas import Problem
from webapp.db import Database


@pytest.fixture
def api(tmp_path: Path, database_url: str) -> Iterator[Api]:
    with running(tmp_path, database_url) as api:
        yield api


@pytest.fixture
def sqlite_api(tmp_path: Path, sqlite_template: Path) -> Iterator[Api]:
    path = tmp_path / "service.db"
    path.write_bytes(sqlite_template.read_bytes())
    with running(tmp_path, f"sqlite:///{path}") as api:
        yield api


def problem(answer: TestResponse, status: int, code: str) -> Problem:
    """Check the shape of an error and give its content."""
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    found = Problem.model_validate(answer.json)
    assert (found.status, found.code) == (status, code)
    assert found.request_id == answer.headers["X-Request-ID"]
    assert found.instance == answer.request.path
    assert found.detail
    return found


def test_every_kind_of_mistake_has_its_status_in_one_shape(sqlite_api: Api) -> None:
    api = sqlite_api
    path = "/api/v1/pools/default/capacity"
    problem(api.call("GET", "/api/v1/nothing"), 404, "not_found")
    problem(api.call("GET", "/api/v1/jobs/nothing"), 404, "not_found")
    problem(api.call("GET", "/api/v1/queue", token=None), 401, "unauthorized")
    problem(api.call("GET", "/api/v1/queue", token="jr_x_y"), 401, "unauthorized")
    problem(api.call("GET", "/api/v1/workers", token="viewer"), 403, "forbidden")
    problem(api.call("PUT", path, json={"slots": 1}), 404, "not_found")
    problem(api.call("PUT", path, data="{", content_type="application/json"), 400, "bad_request")
    wrong_type = api.call("PUT", path, data="slots=1", content_type="text/plain")
    problem(wrong_type, 415, "unsupported_media_type")
    big = b'{"slots": ' + b" " * 5_000_000 + b"1}"
    problem(api.call("PUT", path, data=big, content_type="application/json"), 413, "too_large")
    method = api.call("DELETE", "/api/v1/queue")
    problem(method, 405, "method_not_allowed")
    assert "GET" in method.headers["Allow"]


def test_each_wrong_field_has_its_pointer(sqlite_api: Api) -> None:
    answer = sqlite_api.call("PUT", "/api/v1/pools/default/capacity", json={"slots": -1, "a/b": 2})
    found = problem(answer, 422, "invalid_request")
    assert [wrong.pointer for wrong in found.problems] == ["/slots", "/a~1b"]
    assert all(wrong.message for wrong in found.problems)
    answer = sqlite_api.call("GET", "/api/v1/queue?limit=x")
    (wrong,) = problem(answer, 422, "invalid_request").problems
    assert (wrong.pointer, wrong.model_dump()["in"]) == ("/limit", "query")


def test_a_stranger_learns_nothing_of_a_request_that_is_wrong(sqlite_api: Api) -> None:
    answer = sqlite_api.call(
        "PUT", "/api/v1/pools/default/capacity", token=None, json={"slots": -1}
    )
    problem(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_an_unexpected_exception_gives_nothing_away_and_is_in_the_log(
    sqlite_api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    @sqlite_api.app.get("/broken")
    def broken() -> str:
        raise RuntimeError(f"secret of {request.path}")

    answer = sqlite_api.call("GET", "/broken")
    found = problem(answer, 500, "internal")
    assert "secret" not in answer.text
    assert found.request_id in found.detail
    assert "secret of /broken" in caplog.text
    assert f"{found.request_id} GET /broken" in caplog.text


def test_a_database_that_is_away_is_503_and_says_when_to_try_again(
    sqlite_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Database("postgresql://user:secret@127.0.0.1:1/none")
    monkeypatch.setattr(sqlite_api.service.db, "engine", away.engine)
    answer = sqlite_api.call("GET", "/api/v1/queue", token=f"jr_{16 * '0'}_x")
    problem(answer, 503, "database_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert "127.0.0.1" not in answer.text


NONSENSE = ["%00", "a%00b", "%F0%9F%98%80" * 90, "%ED%A0%80", "%FF", "9" * 400, "-1", "%27%22;--"]


@pytest.mark.parametrize("value", NONSENSE)
def test_no_parameter_is_a_fault_of_the_service(api: Api, value: str) -> None:
    for rule in api.app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or rule.endpoint.startswith("docs"):
            continue
        path = rule.rule
        for name in rule.arguments:
            path = path.replace(f"<path:{name}>", value).replace(f"<{name}>", value)
        names = ["limit", "cursor", "since", "status", "tag", "text", "submitted_after", "x"]
        for query in ("", *(f"?{name}={value}" for name in names)):
            answer = api.call("GET", path + query, headers={"Last-Event-ID": "1"})
            allowed = answer.status_code < 500 or "readyz" in path
            assert allowed, f"{path}{query}: {answer.status_code} {answer.text}"


BODIES = [
    '{"slots": "\\u0000"}',
    '{"slots": "\\ud800"}',
    '{"\\u0000": 1}',
    '{"slots": NaN}',
    '{"slots": 1e999}',
    '{"slots": 99999999999999999999}',
    '{"slots": ' + "9" * 5000 + "}",
    "[" * 100_000,
    '{"a":' * 50_000,
    '{"kind": "note", "message": "\\u0000"}',
    '{"kind": "note", "message": "\\ud800"}',
    '{"params": {"word": "\\ud800"}, "type": "toy"}',
    "\ufeff{}",
    "[]",
    '"text"',
    "1",
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body[:20].encode("unicode_escape"))
def test_no_body_is_a_fault_of_the_service(sqlite_api: Api, body: str) -> None:
    api = sqlite_api
    for rule in api.app.url_map.iter_rules():
        for method in {"POST", "PUT", "PATCH"} & set(rule.methods or ()):
            path = rule.rule.replace("<job_id>", api.job()).replace("<pool>", "p")
            path = path.replace("<instance>", "default")
            answer = api.call(method, path, data=body.encode(), content_type="application/json")
            assert answer.status_code < 500, f"{method} {path}: {answer.text}"


@pytest.mark.parametrize("value", ['"\\u0000"', '"\\ud800"', "NaN", "1e999", "9" * 20])
def test_what_no_store_can_keep_is_refused_wherever_it_stands(sqlite_api: Api, value: str) -> None:
    job = sqlite_api.job()
    body = f'{{"kind": "note", "message": "m", "deep": [{{"er": {value}}}]}}'
    answer = sqlite_api.call(
        "POST", f"/api/v1/jobs/{job}/events", data=body, content_type="application/json"
    )
    problem(answer, 400, "bad_request")


def test_what_the_database_refuses_is_the_mistake_of_the_caller(api: Api) -> None:
    """The net below the checks: PostgreSQL refuses NUL and numbers of more than 64 bits."""

    @api.app.get("/beyond")
    def beyond() -> str:
        with api.service.db.read() as session:
            session.execute(text("SELECT CAST(:n AS bigint)"), {"n": 2**70})
        return "stored"

    answer = api.call("GET", "/beyond")
    if not api.service.db.is_sqlite:
        problem(answer, 422, "invalid_request")


def test_every_answer_has_an_id_that_is_in_the_log(
    sqlite_api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    own = sqlite_api.call("GET", "/healthz", headers={"X-Request-ID": "trace-1.a:b"})
    assert own.headers["X-Request-ID"] == "trace-1.a:b"
    assert "trace-1.a:b GET /healthz 200" in caplog.text
    for strange in ("a\tb", "x" * 65, "<script>", ""):
        answer = sqlite_api.call("GET", "/healthz", headers={"X-Request-ID": strange})
        assert answer.headers["X-Request-ID"] != strange


def test_every_answer_has_headers_that_keep_browsers_safe(sqlite_api: Api) -> None:
    for path in ("/healthz", "/api/v1/queue", "/nothing", "/api/docs", "/api/openapi.json"):
        headers = sqlite_api.call("GET", path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
