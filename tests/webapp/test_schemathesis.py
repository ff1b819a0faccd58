"""A property-based tester finds no 5xx and no answer outside the OpenAPI document."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from schemathesis import engine, hooks
from schemathesis.engine.events import FatalError, NonFatalError, ScenarioFinished

from tests.webapp.api_home import Api, running
from webapp import pools

# Off: checks of what the document does not promise. A JSON document has more rules than its schema
# (types, versions, limits of instances), and a query parameter may be refused for its meaning.
_OFF = (
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "ignored_auth",
)
_CONFIG: dict[str, Any] = {
    "continue-on-failure": True,
    "seed": 1,
    "generation": {"max-examples": 8, "deterministic": True, "no-shrink": True},
    "phases": {"stateful": {"enabled": False}},
    "checks": {name: {"enabled": False} for name in _OFF},
}


@pytest.fixture
def api(tmp_path: Path, database_url: str) -> Iterator[Api]:
    with running(tmp_path, database_url) as api:
        with api.service.db.write() as session:
            for pool in ("default", "changed"):  # jobs may have no room in what it has changed
                pools.register(session, pool=pool, slots=0, cores=1, mem_mb=100)
        yield api


def test_no_answer_is_a_fault_or_outside_the_document(api: Api) -> None:
    token = api.token("admin", acting=True)
    config = {**_CONFIG, "headers": {"Authorization": f"Bearer {token}"}}
    schema = schemathesis.openapi.from_wsgi(
        "/api/openapi.json", api.app, config=schemathesis.Config.from_dict(config)
    )
    found: dict[str, str] = {}
    seen: set[str] = set()
    cases = 0
    with _about_what_exists(api):
        for event in engine.from_schema(schema).execute():
            assert not isinstance(event, FatalError), event.exception
            if isinstance(event, NonFatalError):
                found[f"{event.label}: {event.info.title}"] = event.info.message
            if isinstance(event, ScenarioFinished):
                seen.add(event.recorder.label)
                cases += len(event.recorder.cases)
                found |= _failures(event.recorder)
    assert not found, "\n\n".join(f"{title}\n{text}" for title, text in found.items())
    assert len(seen) >= len(list(schema.get_all_operations()))
    assert cases > 1000


def _failures(recorder: Any) -> Iterator[tuple[str, str]]:
    for case_id, checks in recorder.checks.items():
        for check in checks:
            if check.failure_info is None:
                continue
            failure = check.failure_info.failure
            response = recorder.interactions[case_id].response
            answer = f"{response.status_code} {response.content[:500]!r}" if response else ""
            title = f"{recorder.label}: {failure.title}: {failure.message}"
            yield title, f"{check.failure_info.code_sample}\n{answer}"


@contextmanager
def _about_what_exists(api: Api) -> Iterator[None]:
    """Let most requests name a job, pool or instance that there is.

    What is read is about a job that has ended, and none that was found out from other answers:
    a stream about a job that waits would not end.
    """
    ended = api.ended_job()
    numbers = itertools.count()
    known = {"instance": "default", "pool": "changed", "type_name": "toy", "path": "job.yaml"}

    @schemathesis.hook
    def before_call(context: Any, case: Any, kwargs: Any) -> None:
        named = case.path_parameters or {}
        if case.method == "GET" and "job_id" in named:
            named["job_id"] = ended
        elif next(numbers) % 4 == 0:
            return
        elif "job_id" in named:
            named["job_id"] = api.ended_job()
        named |= {name: known[name] for name in known.keys() & named.keys()}

    try:
        yield
    finally:
        hooks.unregister(before_call)
