"""What can be asked of a job, and by whom."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.webapp.writing import Api, at

pytestmark = pytest.mark.parametrize("api_settings", ["sqlite", "postgresql"], indirect=True)


def _ask(api: Api, method: str, job: str, action: str, headers: Any, **body: Any) -> TestResponse:
    url = f"/api/v1/jobs/{job}" + (f"/{action}" if action else "")
    return api.client.open(url, method=method, headers=headers, json=body or None)


def _events(api: Api, job: str, kind: str = "status") -> list[dict[str, Any]]:
    directory = api.service.directory(api.row(job))
    return [event for event in directory.events.read() if event["kind"] == kind]


def test_a_job_that_waits_is_cancelled_at_once(api: Api) -> None:
    job = api.job()
    answer = _ask(api, "POST", job, "cancel", api.token())
    assert (answer.status_code, answer.json["status"]) == (202, "cancelled")
    last = _events(api, job)[-1]
    assert (last["status"], last["by"]) == ("cancelled", "jane")
    again = _ask(api, "POST", job, "cancel", api.token())
    assert (again.status_code, again.json["code"]) == (409, "conflict")


def test_a_job_that_has_ended_runs_again_from_where_it_was_asked_to(api: Api) -> None:
    job = api.job()
    early = _ask(api, "POST", job, "rerun", api.token())
    assert (early.status_code, early.json["code"]) == (409, "conflict")
    api.end(job)
    answer = _ask(api, "POST", job, "rerun", api.token(), stage="second", only=True)
    assert (answer.status_code, answer.json["status"]) == (202, "queued")
    assert api.row(job).next_options["stage"] == "second"
    assert api.row(job).next_options["only"] is True
    assert _events(api, job)[-1]["by"] == "jane"


def test_a_rerun_needs_no_body_and_a_stage_that_exists(api: Api) -> None:
    job = api.job()
    api.end(job, "failed")
    assert _ask(api, "POST", job, "rerun", api.token(), stage="nth").status_code == 422
    wrong = _ask(api, "POST", job, "rerun", api.token(), only=True)
    assert (wrong.status_code, at(wrong)) == (422, ["/only"])
    assert _ask(api, "POST", job, "rerun", api.token(), colour=1).status_code == 422
    assert _ask(api, "POST", job, "rerun", api.token()).status_code == 202


def test_a_job_is_submitted_again_with_other_parameters(api: Api) -> None:
    job = api.job(params={"word": "old", "command": "false"}, tags=["x"])
    changed = {"params": {"word": "new", "command": None}}
    answer = _ask(api, "POST", job, "resubmit", api.token(), **changed)
    new = answer.json
    assert (answer.status_code, answer.headers["Location"]) == (202, new["url"])
    assert new["id"] != job
    directory = api.service.directory(api.row(new["id"]))
    assert directory.config["params"] == {"word": "new", "command": "true"}
    old = api.service.directory(api.row(job))
    assert directory.config["inputs"]["text"]["sha256"] == old.config["inputs"]["text"]["sha256"]
    old.verify_inputs()  # they were copied, not moved


def test_a_wrong_change_makes_no_new_job(api: Api) -> None:
    job = api.job()
    wrong = _ask(api, "POST", job, "resubmit", api.token(), params={"word": 1})
    assert (wrong.status_code, at(wrong)) == (422, ["/params/word"])
    wrong = _ask(api, "POST", job, "resubmit", api.token(), version="toy-9")
    assert (wrong.status_code, at(wrong)) == (422, ["/version"])
    assert api.count() == 1


def test_priority_and_tags_are_changed_and_noted(api: Api) -> None:
    job = api.job(tags=["old"])
    answer = _ask(api, "PATCH", job, "", api.token(), priority=9, tags=["a", "b"])
    assert answer.status_code == 200
    assert (answer.json["priority"], answer.json["tags"]) == (9, ["a", "b"])
    assert api.row(job).priority == 9
    (note,) = _events(api, job, "note")
    assert (note["by"], note["changes"]) == ("jane", {"priority": 9, "tags": ["a", "b"]})
    assert _ask(api, "PATCH", job, "", api.token(), tags=[]).json["tags"] == []
    assert _ask(api, "PATCH", job, "", api.token(), status="succeeded").status_code == 422
    assert _ask(api, "PATCH", job, "", api.token(), priority=101).status_code == 422


def test_a_submitter_neither_pins_nor_passes_the_instances_priority(api: Api) -> None:
    api.instance("default", "profile: plain\nmax_priority: 5\n")
    job = api.job()
    assert _ask(api, "PATCH", job, "", api.token(), pinned=True).status_code == 403
    wrong = _ask(api, "PATCH", job, "", api.token(), priority=6)
    assert (wrong.status_code, at(wrong)) == (422, ["/priority"])
    operator = api.token("operator", "op")
    done = _ask(api, "PATCH", job, "", operator, pinned=True, priority=100).json
    assert (done["pinned"], done["priority"]) == (True, 100)


def test_a_resubmission_does_not_inherit_a_priority_beyond_ones_rights(api: Api) -> None:
    api.instance("default", "profile: plain\nmax_priority: 5\n")
    job = api.job()
    assert _ask(api, "PATCH", job, "", api.token("operator"), priority=100).status_code == 200
    assert _ask(api, "POST", job, "resubmit", api.token()).json["priority"] == 5
    assert _ask(api, "POST", job, "resubmit", api.token("operator")).json["priority"] == 100


def test_a_job_is_deleted_with_its_files_once_it_has_ended(api: Api) -> None:
    job = api.job()
    path = api.service.directory(api.row(job)).path
    assert _ask(api, "DELETE", job, "", api.token()).status_code == 409
    api.end(job)
    _ask(api, "PATCH", job, "", api.token("operator"), pinned=True)
    assert _ask(api, "DELETE", job, "", api.token()).status_code == 409
    _ask(api, "PATCH", job, "", api.token("operator"), pinned=False)
    answer = _ask(api, "DELETE", job, "", api.token())
    assert (answer.status_code, answer.data) == (204, b"")
    assert not path.exists()
    assert _ask(api, "DELETE", job, "", api.token()).status_code == 404
    assert (api.count(), api.left_behind()) == (0, [])


def test_a_job_whose_files_are_gone_can_still_be_deleted(api: Api) -> None:
    job = api.job()
    api.end(job)
    shutil.rmtree(api.service.directory(api.row(job)).path)
    assert _ask(api, "DELETE", job, "", api.token()).status_code == 204
    assert api.count() == 0


def test_what_is_of_another_kind_is_refused_not_guessed_at(api: Api) -> None:
    job = api.job()
    for body in ({"priority": "5"}, {"priority": True}, {"pinned": "yes"}, {"tags": "x"}):
        wrong = _ask(api, "PATCH", job, "", api.token("operator"), **body)
        assert (wrong.status_code, at(wrong)) == (422, [f"/{next(iter(body))}"])


ACTIONS = [
    ("POST", "cancel", {}),
    ("POST", "rerun", {}),
    ("POST", "resubmit", {}),
    ("PATCH", "", {"tags": ["x"]}),
    ("DELETE", "", {}),
]


@pytest.mark.parametrize(("method", "action", "body"), ACTIONS)
def test_only_the_owner_and_operators_change_a_job(
    api: Api, method: str, action: str, body: dict[str, Any]
) -> None:
    job = api.job()
    if action != "cancel":
        api.end(job)
    for headers in (api.token(name="joe"), api.token("viewer"), api.token("worker")):
        assert _ask(api, method, job, action, headers, **body).status_code == 403
    done = _ask(api, method, job, action, api.token("operator", "op"), **body)
    assert done.status_code in (200, 202, 204)


@pytest.mark.parametrize(("method", "action", "body"), ACTIONS)
def test_a_job_of_another_instance_does_not_exist(
    api: Api, method: str, action: str, body: dict[str, Any]
) -> None:
    job = api.job(instance="other")
    for role in ("viewer", "submitter", "operator", "worker"):
        headers = api.token(role, instance="default")
        foreign = _ask(api, method, job, action, headers, **body)
        missing = _ask(api, method, "0123456789", action, headers, **body)
        assert foreign.status_code == missing.status_code == 404
        assert _body(foreign, job) == _body(missing, "0123456789")


def _body(answer: TestResponse, job: str) -> str:
    without = {key: value for key, value in answer.json.items() if key != "request_id"}
    return str(without).replace(job, "JOB")


def test_a_service_changes_only_the_jobs_of_the_user_it_acts_for(api: Api) -> None:
    service = api.token(name="se", acting=True)
    jane, joe = ({**service, "X-Jobrunner-User": name} for name in ("jane", "joe"))
    job = api.job(jane)
    assert _ask(api, "POST", job, "cancel", joe).status_code == 403
    assert _ask(api, "POST", job, "cancel", service).status_code == 403
    assert _ask(api, "POST", job, "cancel", jane).status_code == 202
