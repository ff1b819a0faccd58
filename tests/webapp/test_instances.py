"""Instances: what their files say, that changes are seen, and that mistakes do no harm."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

import pytest

from runner.errors import InvalidConfiguration, InvalidRequest, NotFound
from runner.home import Home
from runner.launch import ProcessingRequest
from tests.runner.conftest import TOY
from webapp.instances import Choice, Instance, Instances, TypeRule

FULL = """
title: A project
profile: plain
running: 4
max_priority: 10
types:
  toy:
    versions: [toy-1, "2.*"]
    running: 1
    profile: big
    processing: {repository: "https://example.org/w.git", revision: main, entry: main_2}
  other:
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "home" / "config" / "instances"
    found.mkdir(parents=True)
    return found


@pytest.fixture
def instances(folder: Path) -> Instances:
    profiles = folder.parent / "profiles"
    profiles.mkdir()
    for name in ("plain", "big"):
        (profiles / f"{name}.yaml").write_text("platform: {embedded: none.db}\n")
    return Instances(folder.parents[1])


def test_the_instance_default_is_there_without_any_file(instances: Instances) -> None:
    assert instances.all() == {"default": Instance("default", "Default")}
    default = instances.get("default")
    assert (default.types, default.running, default.profile) == (None, None, "local")
    assert instances.problems == []


def test_a_file_says_what_an_instance_may_do(folder: Path, instances: Instances) -> None:
    (folder / "project.yaml").write_text(FULL)
    toy = TypeRule(
        ("toy-1", "2.*"), 1, "big", ProcessingRequest("https://example.org/w.git", "main", "main_2")
    )
    types = {"toy": toy, "other": TypeRule()}
    assert instances.get("project") == Instance("project", "A project", "plain", types, 4, 10)


def test_a_file_of_the_home_goes_before_the_one_that_comes_with_the_runner(
    folder: Path, instances: Instances
) -> None:
    (folder / "default.yaml").write_text("running: 1\n")
    assert instances.get("default").running == 1
    (folder / "default.yaml").unlink()
    assert instances.get("default").running is None


def test_a_change_is_seen_at_once_without_a_restart(folder: Path, instances: Instances) -> None:
    path = folder / "a.yaml"
    for running in range(1, 6):
        path.write_text(f"running: {running}\n")
        assert instances.get("a").running == running
    replacement = folder / "a.new"
    replacement.write_text("running: 9\n")
    os.utime(replacement, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    replacement.rename(path)  # as editors do; same size, same time
    assert instances.get("a").running == 9
    path.unlink()
    with pytest.raises(NotFound):
        instances.get("a")


def test_files_that_did_not_change_are_not_read_again(
    folder: Path, instances: Instances, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.yaml").write_text("running: 1\n")
    instances.all()
    monkeypatch.setattr("webapp.instance_file.read_checked", None)
    assert instances.get("a").running == 1
    assert instances.get("default")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("runing: 1\n", "runing"),
        ("running: many\n", "/running: 'many'"),
        ("running: -1\n", "/running"),
        ("max_priority: 101\n", "/max_priority"),
        ("types: {toy: {versions: []}}\n", "/types/toy/versions"),
        ("types: {toy: {processing: {revision: x}}}\n", "/types/toy/processing"),
        ("- a list\n", "/: "),
        ("a: [\n", "cannot be read"),
        ("\xff", "cannot be read"),
    ],
)
def test_a_mistake_is_named_by_its_file_and_place(
    folder: Path, instances: Instances, text: str, where: str
) -> None:
    (folder / "a.yaml").write_bytes(text.encode("latin-1"))
    (problem,) = instances.problems
    assert str(folder / "a.yaml") in problem
    assert where in problem
    assert "a" not in instances.all()
    with pytest.raises(NotFound, match="is wrong") as raised:
        instances.get("a")
    assert str(folder) not in raised.value.message


def test_a_broken_file_keeps_what_it_last_said_and_is_logged_once(
    folder: Path, instances: Instances, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "a.yaml").write_text("running: 3\n")
    (folder / "b.yaml").write_text("running: 4\n")
    assert instances.get("a").running == 3
    (folder / "a.yaml").write_text("running: three\n")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert instances.get("a").running == 3
            assert instances.get("b").running == 4
        assert len(instances.problems) == 1
        (folder / "b.yaml").write_text("running: 5\n")  # the other one is read again
        assert instances.get("b").running == 5
        assert instances.get("a").running == 3
    assert len(caplog.records) == 1
    (folder / "a.yaml").write_text("running: 6\n")
    assert (instances.get("a").running, instances.problems) == (6, [])


def test_a_file_whose_name_is_no_name_is_a_problem(folder: Path, instances: Instances) -> None:
    (folder / "-x y.yaml").write_text("running: 1\n")
    assert len(instances.problems) == 1
    assert set(instances.all()) == {"default"}


def test_many_threads_see_whole_instances(folder: Path, instances: Instances) -> None:
    path, seen, stop = folder / "a.yaml", set(), threading.Event()
    path.write_text("running: 1\nmax_priority: 1\n")

    def look() -> None:
        while not stop.is_set():
            found = instances.get("a")
            seen.add((found.running, found.max_priority))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1, 60):
        draft = folder / "a.draft"
        draft.write_text(f"running: {number}\nmax_priority: {number}\n")
        draft.rename(path)
    stop.set()
    for thread in threads:
        thread.join()
    assert all(running == priority for running, priority in seen)


def _resolve(instances: Instances, folder: Path, name: str, *asked: str | None) -> Choice:
    return instances.resolve(Home(folder.parents[1]).releases, name, *asked)  # type: ignore[arg-type]


def test_a_job_gets_the_newest_version_that_its_instance_may_use(
    folder: Path, instances: Instances
) -> None:
    releases = Home(folder.parents[1]).releases
    for label in ("toy-1", "2.0", "2.1", "3.0"):
        releases.publish(str(TOY), label)
    (folder / "project.yaml").write_text(FULL)
    chosen = _resolve(instances, folder, "project", "toy")
    assert (chosen.version, chosen.profile) == ("2.1", "big")
    assert chosen.processing is not None
    assert _resolve(instances, folder, "project", "toy", "toy-1").version == "toy-1"
    assert _resolve(instances, folder, "default", "toy").version == "3.0"
    assert _resolve(instances, folder, "default", "toy", None, "plain").profile == "plain"


@pytest.mark.parametrize(
    ("asked", "pointers"),
    [
        (("nowhere", "toy"), ["/instance"]),
        (("project", "else"), ["/type"]),
        (("default", "else"), ["/type"]),
        (("project", "toy", "3.0"), ["/version"]),
        (("project", "toy", None, "none"), ["/profile"]),
        (("project", "toy", "3.0", "../x"), ["/version", "/profile"]),
    ],
)
def test_what_an_instance_may_not_use_is_named_by_its_field(
    folder: Path, instances: Instances, asked: tuple[str, ...], pointers: list[str]
) -> None:
    releases = Home(folder.parents[1]).releases
    for label in ("toy-1", "3.0"):
        releases.publish(str(TOY), label)
    (folder / "project.yaml").write_text(FULL)
    with pytest.raises(InvalidRequest) as raised:
        _resolve(instances, folder, *asked)
    assert [found["pointer"] for found in raised.value.problems] == pointers


def test_an_instance_that_names_a_profile_that_is_missing_is_wrong_itself(
    folder: Path, instances: Instances
) -> None:
    Home(folder.parents[1]).releases.publish(str(TOY), "toy-1")
    (folder / "a.yaml").write_text("profile: gone\n")
    with pytest.raises(InvalidConfiguration, match="gone"):
        _resolve(instances, folder, "a", "toy")


def test_a_new_home_offers_the_job_types_that_come_with_the_runner(
    folder: Path, instances: Instances
) -> None:
    assert _resolve(instances, folder, "default", "import_timeseries").profile == "local"
