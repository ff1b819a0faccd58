"""What a request may ask for: it is checked, kept, shown, and what its attempt runs with."""

from __future__ import annotations

from typing import Any

import pytest

from runner.jobdir import JobDirectory
from tests.webapp.worlds import add_worker
from tests.webapp.writing import Api, at
from webapp import jobs

ASKED: dict[str, Any] = {
    "mem_mb": 800,
    "runtime": 2.5,
    "stages": {"second": {"mem_mb": 3000, "cores": 2}},
}


def directory(api: Api, job_id: str) -> JobDirectory:
    return api.service.directory(api.row(job_id))


def shown(api: Api, job_id: str) -> dict[str, Any]:
    answer = api.client.get(f"/api/v1/jobs/{job_id}", headers=api.token())
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json  # type: ignore[assignment]
    return found


def messages(answer: Any) -> dict[str, str]:
    return {found["pointer"]: found["message"] for found in answer.json["problems"]}


def test_what_is_asked_for_is_kept_and_shown_with_what_each_stage_gets(api: Api) -> None:
    job_id = api.job(resources=ASKED)
    assert directory(api, job_id).config["resources"] == ASKED
    document = shown(api, job_id)
    assert document["request"]["resources"] == ASKED
    granted = document["resources"]
    assert (granted["attempt"]["cores"], granted["attempt"]["mem_mb"]) == (2, 3000)
    assert granted["stages"]["second"] == {
        "cores": 2, "mem_mb": 3000, "runtime": 2.5, "disk_mb": None, "gpu": None,
    }  # fmt: skip
    assert granted["stages"]["first"]["mem_mb"] == 800


def test_a_request_that_asks_for_nothing_says_nothing_of_it(api: Api) -> None:
    nothing: list[dict[str, Any]] = [
        {},
        {"resources": {}},
        {"resources": {"stages": {"first": {}}}},
    ]
    for given in nothing:
        job_id = api.job(**given)
        assert "resources" not in directory(api, job_id).config
        assert shown(api, job_id)["request"]["resources"] == {}


@pytest.mark.parametrize(
    ("asked", "pointers"),
    [
        ({"memory": 5}, ["/resources/memory"]),
        ({"cores": 0, "mem_mb": "8 GB"}, ["/resources/cores", "/resources/mem_mb"]),
        ({"cores": True}, ["/resources/cores"]),
        ({"cores": 1.5}, ["/resources/cores"]),
        ({"runtime": 0}, ["/resources/runtime"]),
        ({"cores": 1_000_001}, ["/resources/cores"]),
        ({"mem_mb": 3_000_000_000}, ["/resources/mem_mb"]),  # columns have 32 bits
        ({"mem_mb": 2**63 - 1, "disk_mb": 2**31}, ["/resources/disk_mb", "/resources/mem_mb"]),
        ({"runtime": 1e12}, ["/resources/runtime"]),
        ({"stages": {"first": {"mem_mb": 2**31}}}, ["/resources/stages/first/mem_mb"]),
        ({"stages": {"fourth": {"cores": 1}}}, ["/resources/stages/fourth"]),
        ({"stages": {"first": {"stages": {}}}}, ["/resources/stages/first/stages"]),
        ({"stages": {"first": {"gpu": -1}}}, ["/resources/stages/first/gpu"]),
        ([], ["/resources"]),
        (None, ["/resources"]),
    ],
)
def test_each_mistake_is_named_by_its_place_and_leaves_nothing(
    api: Api, asked: Any, pointers: list[str]
) -> None:
    answer = api.submit(api.token(), {"type": "toy", "resources": asked})
    assert (answer.status_code, at(answer)) == (422, pointers)
    assert (api.count(), api.left_behind()) == (0, [])


@pytest.mark.parametrize("api_settings", ["sqlite", "postgresql"], indirect=True)
def test_the_largest_amounts_can_be_kept(api: Api) -> None:
    (api.home / "config" / "profiles" / "plain.yaml").write_text(
        "platform: {embedded: none.db}\nenvironments: none\n"
    )
    most = {"cores": 1_000_000, "mem_mb": 1_000_000_000, "disk_mb": 1_000_000_000}
    job_id = api.job(resources=most)
    assert (api.row(job_id).cores, api.row(job_id).mem_mb) == (1_000_000, 1_000_000_000)
    assert (
        api.submit(api.token(), {"type": "toy", "resources": {"cores": 10**30}}).status_code == 400
    )


def test_more_than_the_instance_allows_is_refused_with_limit_and_instance(api: Api) -> None:
    api.instance("default", "profile: plain\nlimits: {mem_mb: 1000, cores: 1}\n")
    asked = {"mem_mb": 1001, "stages": {"second": {"mem_mb": 4000, "cores": 2}}}
    answer = api.submit(api.token(), {"type": "toy", "resources": asked})
    assert answer.status_code == 422
    found = messages(answer)
    assert sorted(found) == ["/resources/mem_mb", "/resources/stages/second/cores",
                             "/resources/stages/second/mem_mb"]  # fmt: skip
    text = found["/resources/stages/second/mem_mb"]
    assert "nstance default" in text
    assert "1000 MB" in text
    assert "4000 MB" in text


def test_limits_of_a_type_go_before_those_of_the_instance(api: Api) -> None:
    text = "profile: plain\nlimits: {mem_mb: 1000, runtime: 3}\n"
    api.instance("default", f"{text}types: {{toy: {{limits: {{mem_mb: 5000}}}}}}\n")
    asked = {"mem_mb": 4000, "runtime": 4}
    answer = api.submit(api.token(), {"type": "toy", "resources": asked})
    assert at(answer) == ["/resources/runtime"]
    assert api.job(resources={"mem_mb": 4000})


def test_defaults_are_cut_to_the_limits_and_never_refused(api: Api) -> None:
    api.instance("default", "profile: plain\nlimits: {mem_mb: 60, runtime: 2}\n")
    job_id = api.job()
    granted = shown(api, job_id)["resources"]
    assert (granted["attempt"]["mem_mb"], granted["attempt"]["runtime"]) == (60, 2)
    assert {own["mem_mb"] for own in granted["stages"].values()} == {60}
    assert api.row(job_id).mem_mb == 60


def test_resources_parameters_and_files_that_are_wrong_are_said_together(api: Api) -> None:
    add_worker(api.service, cores=4, mem_mb=2000)
    api.instance("default", "profile: plain\nlimits: {cores: 1}\n")
    document = {
        "type": "toy",
        "params": {"word": 5},
        "resources": {"cores": 2, "mem_mb": 9000},
    }
    expected = ["/inputs/text", "/params/word", "/resources/cores", "/resources/mem_mb"]
    answer = api.submit(api.token(), document, {"text": ("words.pdf", b"x")})
    assert (answer.status_code, at(answer)) == (422, expected)
    wrong = {**document, "tags": "x"}  # wrong in itself, besides
    answer = api.submit(api.token(), wrong, {"text": ("words.pdf", b"x")})
    assert (answer.status_code, at(answer)) == (422, [*expected, "/tags"])
    assert (api.count(), api.left_behind()) == (0, [])


@pytest.mark.parametrize(
    ("named", "text"), [("nosuch", None), ("wrong", "platform: 5\n"), ("../x", None)]
)
def test_a_profile_that_is_no_use_hides_nothing_else_that_is_wrong(
    api: Api, named: str, text: str | None
) -> None:
    if text:
        (api.home / "config" / "profiles" / f"{named}.yaml").write_text(text)
    document = {"type": "toy", "params": {"word": 5}, "resources": {"cores": 10**6}}
    expected = ["/inputs/text", "/params/word", "/profile"]
    files = {"text": ("words.pdf", b"x")}
    for further, more in ({}, []), ({"tags": "x"}, ["/tags"]):
        answer = api.submit(api.token("operator"), {**document, "profile": named, **further}, files)
        assert (answer.status_code, at(answer)) == (422, [*expected, *more])
        assert str(api.home) not in answer.text
    own = api.submit(api.token(), {**document, "profile": named}, files)
    assert at(own) == expected  # that it is not for them, and nothing more of it
    assert "operator may use" in messages(own)["/profile"]
    if named != "../x":
        api.instance("default", f"profile: {named}\n")
        answer = api.submit(api.token(), {**document, "tags": "x"}, files)
        assert (answer.status_code, at(answer)) == (422, [*expected, "/tags"])


def test_a_resubmission_asks_for_the_same_unless_it_says_otherwise(api: Api) -> None:
    job_id = api.job(resources=ASKED)
    cases: list[tuple[dict[str, Any], Any]] = [
        ({}, ASKED),
        ({"resources": {"cores": 2}}, {"cores": 2}),
        ({"resources": {}}, None),
    ]
    for given, expected in cases:
        answer = api.client.post(f"/api/v1/jobs/{job_id}/resubmit", json=given, headers=api.token())
        assert answer.status_code == 202, answer.text
        again = answer.json["id"]  # type: ignore[index]
        assert directory(api, again).config.get("resources") == expected


def test_a_resubmission_above_limits_that_came_since_is_refused(api: Api) -> None:
    job_id = api.job(resources=ASKED)
    api.instance("default", "profile: plain\nlimits: {mem_mb: 1000}\n")
    answer = api.client.post(f"/api/v1/jobs/{job_id}/resubmit", json={}, headers=api.token())
    assert (answer.status_code, at(answer)) == (422, ["/resources/stages/second/mem_mb"])


def test_the_same_key_with_other_resources_is_another_request(api: Api) -> None:
    headers = {**api.token(), "Idempotency-Key": "one"}
    assert api.submit(headers, {"type": "toy", "resources": {"cores": 1}}).status_code == 202
    again = api.submit(headers, {"type": "toy", "resources": {"cores": 1}})
    assert again.headers["Idempotent-Replayed"] == "true"
    assert api.submit(headers, {"type": "toy", "resources": {"cores": 2}}).status_code == 409


def test_who_takes_a_job_is_told_priority_and_limits_of_its_attempt(api: Api) -> None:
    add_worker(api.service)
    api.instance("default", "profile: plain\nlimits: {runtime: 3, mem_mb: 4000}\n")
    job_id = api.job(resources=ASKED, priority=7)
    assert api.row(job_id).admitted  # for 2 cores and 3000 MB
    api.instance("default", "profile: plain\nlimits: {runtime: 2, cores: 1, mem_mb: 9000}\n")
    claim = jobs.claim(api.service, job_id, api.row(job_id).fence, "worker")
    assert claim is not None
    assert claim.limits == {
        "priority": 7, "cores": 1, "caps": {"runtime": 2, "cores": 1, "mem_mb": 3000},
    }  # fmt: skip
