"""A job that comes from elsewhere has the paths of this machine, and nothing runs again for it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner import arrival, launch
from runner.home import Home
from runner.jobdir import JobDirectory
from runner.launch import ProcessingRequest
from runner.prepared import Prepared
from tests.composite import pair_source

PARTS = ("left", "right", "apart")
PROFILE = "platform: {{embedded: {embedded}, layers: '{layers}'}}\nenvironments: none\n"
REPOSITORY = {"workflow.py": "def main(df):\n    return df\n", "requirements.txt": "six\n"}


def _home(folder: Path, embedded: str = "platform.db", layers: str = "layers/{instance}") -> Home:
    profiles = folder / "config" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "plain.yaml").write_text(PROFILE.format(embedded=embedded, layers=layers))
    return Home(folder)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A composite type that takes a processing repository, with a rule that reads job.yaml."""
    folder = pair_source(tmp_path)
    pair = folder / "workflow" / "pair"
    with (pair / "jobtype.yaml").open("a") as stream:
        stream.write("processing: optional\nneeds: [platform]\n")
    text = (pair / "Snakefile").read_text()
    assert "rules.left_all.input,\n" in text
    own = 'job="job.yaml",\n        left=rules.left_all.input,\n'
    (pair / "Snakefile").write_text(text.replace("left=rules.left_all.input,\n", own))
    return folder


@pytest.fixture
def done(tmp_path: Path, source: Path, text_file: Path, git_repository: Any) -> Prepared:
    """A composite job that succeeded on another machine."""
    there = _home(tmp_path / "there", "old.db")
    there.releases.publish(str(source), "pair-1")
    request = ProcessingRequest(git_repository(REPOSITORY).as_uri())
    job = launch.create(
        there, "pair", inputs={"text": text_file}, params={}, profile_name="plain",
        processing_request=request,
    )  # fmt: skip
    assert job.start(job.options()).wait() == "succeeded"
    return job


def _arrive(here: Home, source: Path, job: JobDirectory) -> Prepared:
    """Bring a copy of a job to a home; the machine that it was on is gone then."""
    here.releases.publish(str(source), "pair-1")
    place = arrival.place_of(here, dict(job.config))
    shutil.copytree(job.path, place, symlinks=True)
    there = next(folder for folder in job.path.parents if folder.name == "there")
    there.rename(there.with_name("gone"))
    arrival.settle(here, JobDirectory.open(place), "https://example.org")
    return launch.reopen(here, JobDirectory.open(place))


def _configs(job: JobDirectory) -> dict[str, Any]:
    """Give what the job.yaml of a job and of its parts say."""
    files = [job.path / "job.yaml", *(job.path / "sub_jobs" / n / "job.yaml" for n in PARTS)]
    return {str(f.parent.relative_to(job.path)): yaml.safe_load(f.read_text()) for f in files}


def _ran(job: JobDirectory, attempt: int) -> list[str]:
    return [e["stage"] for e in job.events.read()
            if e["kind"] == "stage" and e["attempt"] == attempt]  # fmt: skip


def test_a_composite_job_and_its_parts_name_paths_of_this_machine_and_nothing_runs_again(
    source: Path, done: Prepared, tmp_path: Path
) -> None:
    before = _configs(done.job)
    assert str(tmp_path / "there") in json.dumps(before["sub_jobs/left"])
    here = _home(tmp_path / "here", "new.db")
    job = _arrive(here, source, done.job)
    found = _configs(job.job)
    assert str(tmp_path / "there") not in json.dumps(found)
    for folder, config in found.items():
        assert list(config) == list(before[folder])
        assert config["platform"]["embedded"] == str(here.path / "new.db")
        assert config["platform"]["layers"] == str(here.path / "layers" / "default")
        assert config["processing"] == found["."]["processing"]
        assert Path(config["processing"]["checkout"], "workflow.py").is_file()
        kept = set(config) - {"platform", "processing"}
        assert {key: config[key] for key in kept} == {key: before[folder][key] for key in kept}
    assert "sum" in _ran(job.job, 1)
    assert job.start(job.options()).wait() == "succeeded"
    assert _ran(job.job, 2) == []


def _settled(here: Home, path: Path, config: dict[str, Any], part: str = "") -> JobDirectory:
    """Settle a job of which there is nothing but its job.yaml, and that of a part."""
    (path / "sub_jobs" / "left").mkdir(parents=True)
    (path / "sub_jobs" / "left" / "job.yaml").write_text(part)
    request = {"id": "J", "type": "pair", "release": {"digest": "sha256:0"}, **config}
    (path / "job.yaml").write_text(yaml.safe_dump(request))
    arrival.settle(here, JobDirectory.open(path), "https://example.org")
    return JobDirectory.open(path)


@pytest.mark.parametrize("text", ["", '{"platform": {"embed', "\0", "[]"])
def test_the_job_yaml_of_a_part_that_was_cut_short_does_not_stop_an_arrival(
    tmp_path: Path, text: str
) -> None:
    config = {"profile": "plain", "platform": {"embedded": "/there/platform.db"}}
    job = _settled(_home(tmp_path / "here"), tmp_path / "job", config, text)
    assert (job.path / "sub_jobs" / "left" / "job.yaml").read_text() == text
    assert job.config["platform"]["embedded"] == str(tmp_path / "here" / "platform.db")


@pytest.mark.parametrize(
    ("instance", "used", "layers"),
    [
        ({}, "plain", "maps/default"),
        ({"instance": "alps"}, "plain", "maps/alps"),
        ({"instance": "alps"}, "nowhere", "layers/alps"),
    ],
)
def test_map_layers_go_where_the_profile_of_this_machine_keeps_those_of_the_instance(
    tmp_path: Path, instance: dict[str, str], used: str, layers: str
) -> None:
    here = _home(tmp_path / "here", layers="maps/{instance}")
    config = {**instance, "profile": used, "platform": {"layers": "/there/layers/alps"}}
    job = _settled(here, tmp_path / "job", config)
    assert job.config["platform"]["layers"] == str(here.path / layers)


def test_a_job_that_knew_of_no_map_layers_is_told_of_none(tmp_path: Path) -> None:
    here = _home(tmp_path / "here")
    config = {"profile": "plain", "platform": {"embedded": "/there/platform.db"}}
    job = _settled(here, tmp_path / "job", config)
    assert "layers" not in job.config["platform"]
