"""Every route, in every role, for the own and another instance, as docs/permissions.md says."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.webapp.api_home import Api, running
from webapp import pools
from webapp.models import Delivery

ROLES = ("viewer", "submitter", "operator", "worker", "admin")
PUBLIC = ("/api/docs", "/api/docs/<name>", "/api/openapi.json")
_TABLE = Path(__file__).resolve().parents[2] / "docs" / "permissions.md"
_NOT_ABOUT_ONE = "\N{EN DASH}"
_ROW = re.compile(r"^\| `([A-Z]+) (/[^`]*)` \| (.+) \|$", re.MULTILINE)
_TOY = {"type": "toy", "instance": "default"}
# What a request says, where it says anything.
_OPTIONS: dict[str, Any] = {
    "PATCH /jobs/{job_id}": {"json": {"tags": ["seen"]}},
    "POST /jobs/{job_id}/rerun": {"json": {}},
    "POST /jobs/{job_id}/resubmit": {"json": {}},
    "POST /jobs/{job_id}/events": {"json": {"kind": "note", "message": "a note"}},
    "POST /jobs/{job_id}/log": {"data": "a line\n", "content_type": "text/plain"},
    "PUT /pools/{pool}/capacity": {"json": {"slots": 1}},
}
_looked_at: dict[tuple[int, str, str], str] = {}
_OPEN = ("cancel", "/events", "/log")  # routes that are for jobs that have not ended


def table() -> dict[str, dict[str, str]]:
    """Give the written table: cells by request and column."""
    columns = ("no token", *ROLES, "other instance")
    return {
        f"{method} {path}": dict(zip(columns, cells.split(" | "), strict=True))
        for method, path, cells in _ROW.findall(_TABLE.read_text(encoding="utf-8"))
    }


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("permissions")
    (folder / "service.db").write_bytes(sqlite_template.read_bytes())
    with running(folder, f"sqlite:///{folder / 'service.db'}") as api:
        with api.service.db.write() as session:
            pools.register(session, pool="default", slots=1, cores=1, mem_mb=100)
            pools.pause(session, "service", "all", "test")  # so that jobs stay as they are
        yield api


def test_every_route_has_its_row_and_every_row_a_route(api: Api) -> None:
    routes = set()
    for rule in api.app.url_map.iter_rules():
        if rule.rule in PUBLIC:
            continue
        path = re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule.removeprefix("/api/v1"))
        routes |= {f"{method} {path}" for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    assert routes == set(table())


def test_what_needs_no_token_is_only_the_documentation_and_health(api: Api) -> None:
    for path in ("/api/docs", "/api/docs/start.js", "/api/openapi.json", "/healthz", "/readyz"):
        assert api.call("GET", path, token=None).status_code == 200


@pytest.mark.parametrize("request_line", table())
def test_the_table_holds_for(api: Api, request_line: str) -> None:
    expected = table()[request_line]
    found = {"no token": _cell(_ask(api, request_line, None, "default"))}
    for role in ROLES:
        token = api.token(role, None if role == "admin" else "default")
        found[role] = _cell(_ask(api, request_line, token, "default"))
        if "{job_id}" in request_line:
            other = _cell(_ask(api, request_line, token, "default", user="somebody"))
            found[role] = {("yes", "403"): "own"}.get((found[role], other), found[role])
            assert found[role] == "own" or other == found[role], role
    found["other instance"] = _other(api, request_line, expected["other instance"])
    assert found == expected


def _other(api: Api, request_line: str, expected: str) -> str:
    """Ask for what belongs to another instance, in every role that can be bound to one."""
    if expected == _NOT_ABOUT_ONE:
        assert "{job_id}" not in request_line
        assert "{delivery_id}" not in request_line
        assert "{instance}" not in request_line
        return _NOT_ABOUT_ONE
    cells = set()
    for role in ROLES[:-1]:
        answer = _ask(api, request_line, api.token(role, "default"), "other")
        cell = _cell(answer)
        if cell == "yes" and "other" not in answer.text:
            cell = "hidden"
        cells.add(cell)
    assert len(cells) == 1, cells
    return cells.pop()


def _cell(answer: TestResponse) -> str:
    if answer.status_code in (401, 403, 404):
        return str(answer.status_code)
    assert answer.status_code < 400, answer.text
    return "yes"


def _ask(
    api: Api, request_line: str, token: str | None, instance: str, user: str = "submitter"
) -> TestResponse:
    """Send a request that is right in all but who asks; `user` has the job that it is about."""
    method, path = request_line.split(" ")
    options = dict(_OPTIONS.get(request_line, {}))
    if request_line == "POST /jobs":
        options = _form(instance)
    if "{job_id}" in path:
        path = path.replace("{job_id}", _job(api, request_line, instance, user))
    elif "{delivery_id}" in path:
        path = path.replace("{delivery_id}", str(_delivery(api, instance)))
    elif "hidden" in table()[request_line].values():
        api.job(instance)
    path = path.replace("{instance}", instance).replace("{pool}", "default")
    path = path.replace("{type_name}", "toy").replace("{path}", "job.yaml")
    answer = api.call(method, f"/api/v1{path}", token, **options)
    answer.get_data()
    return answer


def _job(api: Api, request_line: str, instance: str, user: str) -> str:
    """Give a job that the request can be about; those that only look share one."""
    if not request_line.startswith("GET"):
        is_open = request_line.endswith(_OPEN)
        return (api.job if is_open else api.ended_job)(instance, user)
    key = (id(api), instance, user)
    if key not in _looked_at:
        _looked_at[key] = api.ended_job(instance, user)
    return _looked_at[key]


def _delivery(api: Api, instance: str) -> int:
    """Give the id of a mail that waits."""
    job_id, time = api.job(instance), "2026-11-22T14:00:00.000Z"
    row = Delivery(
        key=f"{job_id}-2-email", kind="email", instance=instance, target="email", job_id=job_id,
        lane=job_id, event="job.failed", data={}, created=time, next_try=time, expires=time,
    )  # fmt: skip
    with api.service.db.write() as session:
        session.add(row)
        session.flush()
        return row.id


def _form(instance: str) -> dict[str, Any]:
    document = {**_TOY, "instance": instance}
    return {"data": {"request": json.dumps(document), "text": (io.BytesIO(b"one"), "words.txt")}}
