"""Submitting through the API: what is accepted, refused, planned, and said of it."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest

from runner import launch
from runner.errors import InvalidRequest
from tests.runner.conftest import TOY
from tests.webapp.writing import DOCUMENT, FILE, Api, at
from webapp import pools


def test_a_job_that_is_accepted_is_on_disk_and_in_the_database(api: Api) -> None:
    answer = api.submit(
        api.token(),
        {**DOCUMENT, "params": {"word": "three"}, "tags": ["round-1"], "priority": 7,
         "notify": ["jane@example.org"]},
    )  # fmt: skip
    job = answer.json
    assert (answer.status_code, answer.headers["Location"]) == (202, job["url"])
    assert (job["status"], job["user"], job["instance"]) == ("queued", "jane", "default")
    assert (job["version"], job["profile"], job["priority"]) == ("toy-1", "plain", 7)
    directory = api.service.directory(api.row(job["id"]))
    assert directory.path.name == job["id"]  # it has its place
    assert directory.config["params"] == {"word": "three", "command": "true"}
    assert directory.config["queue"]["notify"] == ["jane@example.org"]
    assert directory.config["submitted"]["by"] == "jane"
    stored = directory.config["inputs"]["text"]
    assert stored["sha256"] == hashlib.sha256(FILE["text"][1]).hexdigest()
    assert (stored["name"], stored["bytes"]) == ("some words.txt", 8)
    assert directory.file(stored["path"]).read_bytes() == FILE["text"][1]
    assert list((api.home / "uploads").iterdir()) == []


def test_a_job_is_accepted_while_redis_is_away_or_the_service_is_paused(api: Api) -> None:
    with api.service.db.write() as session:
        pools.pause(session, "service", "all", "test")
    assert api.submit(api.token()).status_code == 202


def test_the_document_may_come_after_the_files_or_as_a_file_itself(api: Api) -> None:
    assert api.submit(api.token(), order=lambda parts: parts[::-1]).status_code == 202
    files = {**FILE, "request": ("request.json", json.dumps(DOCUMENT).encode())}
    assert api.submit(api.token(), False, files).status_code == 202


def test_everything_that_is_wrong_is_said_at_once_with_its_place(api: Api) -> None:
    answer = api.submit(
        api.token(),
        {
            "type": "toy",
            "params": {"word": 5, "other": 1},
            "priority": "high",
            "tags": "x",
            "notify": [1],
            "colour": "red",
        },
        {"text": ("words.pdf", b"x"), "more": ("x.txt", b"x")},
    )
    assert answer.status_code == 422
    assert at(answer) == ["/colour", "/inputs/more", "/inputs/text", "/notify/0", "/params",
                          "/params/word", "/priority", "/tags"]  # fmt: skip
    assert api.left_behind() == []


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({}, "/type"),
        ({"type": "nothing"}, "/type"),
        ({"type": "../toy"}, "/type"),
        ({"type": "toy", "version": "toy-9"}, "/version"),
        ({"type": "toy", "version": "../toy-1"}, "/version"),
        ({"type": "toy", "instance": "nowhere"}, "/instance"),
        ({"type": "toy", "instance": "../default"}, "/instance"),
        ({"type": "toy", "profile": "big"}, "/profile"),
        ({"type": "toy", "priority": 101}, "/priority"),
        ({"type": "toy", "priority": True}, "/priority"),
        ({"type": "toy", "params": []}, "/params"),
        ({"type": "toy", "params": {"word": "x" * 11}}, "/params/word"),
        ({"type": "toy", "tags": [""]}, "/tags/0"),
        ({"type": "toy", "status": "succeeded"}, "/status"),
        ([], ""),
        ("toy", ""),
    ],
)
def test_each_wrong_field_is_named_by_its_pointer(api: Api, document: object, pointer: str) -> None:
    answer = api.submit(api.token(), document)
    assert (answer.status_code, at(answer)) == (422, [pointer])
    assert (api.count(), api.left_behind()) == (0, [])


def test_wrong_inputs_are_named_and_leave_nothing(api: Api) -> None:
    for files in ({}, {"text": ("words.pdf", b"x")}, {"text": ("words.txt", b"")}):
        answer = api.submit(api.token(), files=files)
        assert (answer.status_code, at(answer)) == (422, ["/inputs/text"])
        assert answer.json["code"] == "invalid_input"
    assert (api.count(), api.left_behind()) == (0, [])


def test_a_file_name_never_leads_out_of_the_job(api: Api) -> None:
    for name in ("../../x.txt", "/etc/x.txt", "..\\\\x.txt", ".x.txt", "a b;$(id).txt"):
        answer = api.submit(api.token(), files={"text": (name, b"x")})
        assert answer.status_code == 202, answer.text
        directory = api.service.directory(api.row(answer.json["id"]))
        (stored,) = (directory.path / "input").iterdir()
        assert stored.name.endswith("x.txt") or stored.name.endswith("_.txt")
    assert api.submit(api.token(), files={"text": ("....txt", b"x")}).status_code in (202, 422)


def test_a_body_that_cannot_be_read_is_refused(api: Api) -> None:
    headers, url = api.token(), "/api/v1/jobs"
    for kind, body, status in (
        ("multipart/form-data", b"x", 400),
        ("multipart/form-data; boundary=x", b"\r\n", 400),
        ("multipart/form-data; boundary=x", b"--x--\r\n", 422),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nhello\r\n--x--\r\n", 400),
        ("multipart/form-data; boundary=\xe4", b"x", 400),
        ("application/json", b"{", 400),
        ("application/json", b"[" * 100_000, 400),
        ("application/json", b'{"type": "toy", "params": {"word": "\\ud800"}}', 400),
        ("application/json", b'{"type": "toy", "priority": NaN}', 400),
        ("text/plain", b"x", 415),
        ("", b"x", 415),
    ):
        answer = api.client.post(url, data=body, content_type=kind, headers=headers)
        assert (answer.status_code, answer.mimetype) == (status, "application/problem+json"), kind
    assert (api.count(), api.left_behind()) == (0, [])


def test_json_alone_does_for_a_type_that_needs_no_file(api: Api) -> None:
    answer = api.client.post("/api/v1/jobs", json={"type": "toy"}, headers=api.token())
    assert (answer.status_code, at(answer)) == (422, ["/inputs/text"])
    release = next((api.home / "releases").glob("toy-1/source/workflow/toy/jobtype.yaml"))
    source = release.parents[2]
    free = api.home / "free"
    for path in source.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            target = free / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(path.read_text().replace("required: true", "required: false"))
    api.service.home.releases.publish(str(free), "free-1")
    answer = api.client.post("/api/v1/jobs", json={"type": "toy"}, headers=api.token())
    assert (answer.status_code, answer.json["version"]) == (202, "free-1")


def test_the_instance_decides_which_types_versions_and_profiles_a_job_gets(api: Api) -> None:
    api.instance("strict", "profile: plain\nmax_priority: 5\ntypes: {toy: {versions: [x-*]}}\n")
    api.instance("none", "profile: plain\ntypes: {}\n")
    api.instance("rich", "types: {toy: {profile: big}}\n")
    headers = api.token()
    assert at(api.submit(headers, {"type": "toy", "instance": "strict"})) == ["/version"]
    assert at(api.submit(headers, {"type": "toy", "instance": "none"})) == ["/type"]
    assert api.submit(headers, {"type": "toy", "instance": "rich"}).json["profile"] == "big"
    api.service.home.releases.publish(str(TOY), "x-2")
    job = api.submit(headers, {"type": "toy", "instance": "strict", "priority": 5}).json
    assert (job["version"], job["priority"]) == ("x-2", 5)
    assert at(api.submit(headers, {"type": "toy", "instance": "strict", "priority": 6})) == [
        "/priority"
    ]


def test_an_operator_may_ask_for_any_profile_and_priority(api: Api) -> None:
    api.instance("default", "profile: plain\nmax_priority: 0\n")
    document = {"type": "toy", "profile": "big", "priority": 100}
    assert at(api.submit(api.token(), document)) == ["/priority", "/profile"]
    job = api.submit(api.token("operator"), document).json
    assert (job["profile"], job["priority"]) == ("big", 100)
    wrong = {"type": "toy", "profile": "none-such"}
    assert at(api.submit(api.token("operator"), wrong)) == ["/profile"]


def test_a_token_of_an_instance_submits_to_that_one_only(api: Api) -> None:
    headers = api.token(instance="other")
    assert api.submit(headers).json["instance"] == "other"
    answers = [api.submit(headers, {"type": "toy", "instance": n}) for n in ("default", "nowhere")]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert api.count() == 1


@pytest.mark.parametrize("role", ["viewer", "worker"])
def test_who_may_only_read_submits_nothing(api: Api, role: str) -> None:
    assert api.submit(api.token(role)).status_code == 403
    assert (api.count(), api.left_behind()) == (0, [])


def test_a_plan_tells_what_would_run_and_leaves_nothing(api: Api) -> None:
    answer = api.submit(api.token(), query="?plan=true")
    assert answer.status_code == 200, answer.text
    assert [(s["name"], s["runs"]) for s in answer.json["stages"]] == [
        ("first", True), ("second", True), ("third", True),
    ]  # fmt: skip
    assert all(stage["reason"] for stage in answer.json["stages"])
    assert (answer.json["version"], answer.json["profile"]) == ("toy-1", "plain")
    assert (api.count(), api.left_behind()) == (0, [])


def test_a_plan_refuses_what_a_submission_refuses(api: Api) -> None:
    answer = api.submit(api.token(), {"type": "toy", "params": {"word": 1}}, query="?plan=1")
    assert (answer.status_code, at(answer)) == (422, ["/params/word"])
    assert api.submit(api.token(), query="?plan=perhaps").status_code == 422
    assert api.submit(api.token(), query="?pan=true").status_code == 422
    assert api.left_behind() == []


def test_what_cannot_be_planned_is_refused_with_snakemakes_words(api: Api) -> None:
    broken = api.home / "broken"
    shutil.copytree(TOY, broken)
    snakefile = broken / "workflow" / "toy" / "Snakefile"
    snakefile.write_text("raise ValueError('there is no way')\n" + snakefile.read_text())
    api.service.home.releases.publish(str(broken), "broken-1")
    answer = api.submit(api.token(), {"type": "toy", "version": "broken-1"}, query="?plan=true")
    assert (answer.status_code, answer.json["code"]) == (422, "plan_failed")
    assert "there is no way" in answer.json["detail"]
    assert str(api.home) not in answer.json["detail"]
    assert (api.count(), api.left_behind()) == (0, [])


def test_too_little_room_on_the_disk_is_said_before_anything_is_read(api: Api) -> None:
    settings = api.service.settings.model_copy(update={"disk_reserve": 2**62})
    object.__setattr__(api.service, "settings", settings)
    for answer in (
        api.submit(api.token()),
        api.client.post("/api/v1/jobs", json=DOCUMENT, headers=api.token()),
    ):
        assert (answer.status_code, answer.json["code"]) == (507, "disk_full")
        for said in ("are free", "4611686.0 TB are kept", "`jobrunner clean --dry-run`"):
            assert said in answer.json["detail"]
        assert str(api.home) not in answer.text
    assert (api.count(), api.left_behind()) == (0, [])


def test_a_refusal_is_the_same_as_that_of_the_command_line(api: Api) -> None:
    path = api.home / "words.pdf"
    path.write_text("x")
    with pytest.raises(InvalidRequest) as raised:
        launch.create(api.service.home, "toy", inputs={"text": path}, params={"word": 1})
    answer = api.submit(
        api.token(), {"type": "toy", "params": {"word": 1}}, {"text": ("words.pdf", b"x")}
    ).json
    assert (answer["detail"], answer["code"]) == (raised.value.message, raised.value.code)
    assert answer["problems"] == raised.value.problems
