"""What past jobs used is shown, and proposes resources."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from runner import usage
from runner.events import EventLog
from runner.files import write_json
from runner.home import Home
from runner.prepared import Prepared
from runner.state import JobState

ROOT = Path(__file__).resolve().parents[2]


def _used(
    peak: float, seconds: float = 60, cpu: float = 60, runs: int = 1, **more: float
) -> dict[str, Any]:
    figures = {"seconds": seconds, "cpu_seconds": cpu, "peak_mb": peak, **more}
    return {"runs": runs, **figures, "read_mb": 0, "written_mb": 0}


def _record(prepared: Prepared, n: int, outcome: str, error: Any = None, **stages: Any) -> None:
    record = {"attempt": n, "outcome": outcome, "error": error, "used": {"stages": stages}}
    write_json(prepared.job.attempts / f"{n}.json", record)


def _types(home: Home, *options: str) -> str:
    command = [sys.executable, "-m", "runner", "types", "--usage", *options, "--home"]
    answer = subprocess.run([*command, str(home.path)], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_the_95th_percentile_is_the_smallest_value_that_so_many_do_not_exceed() -> None:
    assert usage.percentile([float(n) for n in range(1, 101)]) == 95
    assert usage.percentile([3.0, 1.0, 2.0]) == 3
    assert usage.percentile([]) == 0


def test_past_jobs_propose_resources_that_a_profile_and_a_job_type_accept(
    home: Home, toy: Callable[..., Prepared]
) -> None:
    for peak in range(100, 2100, 100):  # 20 jobs: 1900 MB is the 95th percentile
        _record(toy(), 1, "succeeded", first=_used(peak, 600, 1560), second=_used(10, 1, 0.1))
    (first, second) = json.loads(_types(home, "toy", "--json"))["toy"]
    assert (first["stage"], first["jobs"], second["stage"]) == ("first", 20, "second")
    assert first["measured"] == {"mem_mb": 1900, "cores": 2.6, "runtime": 10}
    assert first["proposed"] == {"cores": 3, "mem_mb": 2400, "runtime": 20}
    assert second["proposed"] == {"cores": 1, "mem_mb": 100, "runtime": 5}
    text = _types(home, "toy")
    assert "25% more" in text
    of_type, of_profile = text.split("# jobtype.yaml, stages:")[1].split("# or in a profile:")
    profile = {"platform": {"embedded": "x"}, **yaml.safe_load(of_profile.split("\n\n")[0])}
    assert profile["types"]["toy"]["stages"]["first"] == first["proposed"]
    stages = yaml.safe_load(of_type)
    described = yaml.safe_load((ROOT / "tests/data/toy/workflow/toy/jobtype.yaml").read_text()) | {
        "stages": stages
    }
    for schema, given in (("profile", profile), ("jobtype", described)):
        text = (ROOT / "runner" / f"{schema}.schema.yaml").read_text()
        jsonschema.Draft202012Validator(yaml.safe_load(text)).validate(given)


def test_only_stages_that_came_to_their_end_count(home: Home, toy: Callable[..., Prepared]) -> None:
    job = toy()
    short = {"code": "out_of_memory", "stage": "second", "message": "", "problems": []}
    _record(job, 1, "failed", short, first=_used(200), second=_used(500))
    _record(job, 2, "failed", {**short, "code": "stage_failed"}, second=_used(501))
    _record(job, 3, "cancelled", second=_used(502))
    _record(job, 4, "succeeded", second=_used(900, seconds=180, runs=3))
    first, second = json.loads(_types(home, "--json"))["toy"]
    assert (first["measured"]["mem_mb"], second["measured"]["mem_mb"]) == (200, 900)
    assert (second["attempts"], second["out_of_memory"], second["time_limit"]) == (1, 1, 0)
    assert second["measured"]["runtime"] == 1  # of one run of the rule


def test_the_longest_run_of_a_rule_says_what_time_it_needs(
    home: Home, toy: Callable[..., Prepared]
) -> None:
    used = _used(100, seconds=3600, runs=30, longest_seconds=1800)
    _record(toy(), 1, "succeeded", first=used)
    (first,) = json.loads(_types(home, "--json"))["toy"]
    assert (first["measured"]["runtime"], first["proposed"]["runtime"]) == (30, 60)


def _limited(prepared: Prepared, n: int, stage: str, over: str, **bounds: float) -> None:
    folder = prepared.job.attempts / str(n) / "stages" / stage
    folder.mkdir(parents=True)
    write_json(folder / "limits.json", {"rule": stage, **bounds})
    told = {"over": over, "limit": 1, "by": "cgroup v2", "peak_mb": 1, "started": ""}
    write_json(folder / "used.here.1.json", told)


def test_no_less_is_proposed_than_a_limit_that_was_too_small(
    home: Home, toy: Callable[..., Prepared]
) -> None:
    job, bounds = toy(), {"mem_mb": 4000, "runtime": 90}
    _record(job, 1, "succeeded", first=_used(200))
    for n, over in enumerate(("memory", "runtime", "memory"), 2):
        _limited(job, n, "first", over, **bounds)
        code = {"memory": "out_of_memory", "runtime": "time_limit"}[over]
        _record(job, n, "failed", {"code": code, "stage": "first"}, first=_used(9))
        bounds = {"mem_mb": 1000, "runtime": 90}
    (first,) = json.loads(_types(home, "--json"))["toy"]
    assert (first["attempts"], first["out_of_memory"], first["time_limit"]) == (1, 2, 1)
    assert first["measured"] == {"mem_mb": 200, "cores": 1, "runtime": 1}
    assert first["proposed"] == {"cores": 1, "mem_mb": 5000, "runtime": 180}
    assert "Out of time" in _types(home)


def test_the_time_limit_of_a_solver_says_nothing_about_that_of_its_stage(
    home: Home, toy: Callable[..., Prepared]
) -> None:
    job = toy()
    _record(job, 1, "succeeded", first=_used(200))
    _record(job, 2, "failed", {"code": "time_limit", "stage": "first"}, first=_used(9))
    (first,) = json.loads(_types(home, "--json"))["toy"]
    assert (first["time_limit"], first["proposed"]["runtime"]) == (0, 5)


def test_a_job_that_is_deleted_meanwhile_is_passed_over(
    home: Home, toy: Callable[..., Prepared], monkeypatch: pytest.MonkeyPatch
) -> None:
    _record(toy(), 1, "succeeded", first=_used(200))
    gone = home.jobs / "2026" / "11" / "22" / "GONE" / "job.yaml"
    there = list(home.jobs.glob("*/*/*/*/job.yaml"))
    monkeypatch.setattr(Path, "glob", lambda *_: iter([gone, *there]))
    for wanted in (None, "toy"):
        monkeypatch.setattr(usage, "_records", lambda _: [])
        assert usage.collect(home, wanted) == {}


def test_stages_of_sub_jobs_count_for_their_own_type(home: Home, tmp_path: Path) -> None:
    folder = home.jobs / "2026" / "11" / "22" / "J1"
    (folder / "attempts").mkdir(parents=True)
    config = {"id": "J1", "type": "both", "sub_jobs": {"meta": {"type": "toy", "stages": ["a"]}}}
    (folder / "job.yaml").write_text(yaml.safe_dump(config))
    stages = {"meta_first": _used(300)}
    write_json(folder / "attempts/1.json", {"outcome": "succeeded", "used": {"stages": stages}})
    for wanted in (None, "toy"):
        assert usage.collect(home, wanted)["toy"]["first"].memory == [300]
    assert "meta_first" in usage.collect(home)["both"]


def test_without_past_jobs_it_says_so(home: Home) -> None:
    assert "No job of toy" in _types(home, "toy")


def test_a_stage_tells_what_it_waits_for_where_it_ran_and_what_it_used(
    toy: Callable[..., Prepared],
) -> None:
    prepared = toy()
    log: EventLog = prepared.job.events

    def told() -> dict[str, Any]:
        return JobState(prepared.job_type, log.read()).stages["first"].as_dict()

    def stage(status: str, **data: Any) -> None:
        log.append("stage", source="slurm", attempt=1, stage="first", status=status, **data)

    log.append("attempt", source="runner", attempt=1, status="started")
    log.append("status", source="runner", attempt=1, status="running")
    stage("waiting", reason="SLURM job 12 is pending: Resources", slurm_job=12)
    assert (told()["status"], told()["seconds"]) == ("waiting", None)
    assert told()["reason"] == "SLURM job 12 is pending: Resources"
    stage("running", node="n1", slurm_job=12)
    assert (told()["reason"], told()["node"], told()["slurm_job"]) == (None, "n1", 12)
    stage("succeeded", used=_used(7))
    assert told()["used"]["peak_mb"] == 7
    stage("waiting", reason="handed to SLURM")
    assert told()["used"] is None
    log.append("status", source="runner", attempt=1, status="cancelled")
    assert (told()["status"], told()["reason"]) == ("waiting", None)


@pytest.mark.parametrize("remote", [False, True])
def test_only_with_a_cluster_a_rule_begins_by_waiting(
    toy: Callable[..., Prepared], remote: bool
) -> None:
    from logging import LogRecord

    from snakemake_logger_plugin_jobrunner import LogHandler, LogHandlerSettings

    prepared = toy()
    events = prepared.job.path / "events.jsonl"
    handler = LogHandler.__new__(LogHandler)
    handler.settings = LogHandlerSettings(events=events, attempt=1, stages="first", remote=remote)
    handler.__post_init__()
    for jobid, local in ((1, False), (2, True)):
        record = LogRecord("x", 20, "", 0, "", (), None)
        told = {"event": "job_info", "jobid": jobid, "rule_name": "first", "local": local}
        record.__dict__ |= {**told, "reason": "Missing output files: x"}
        handler.emit(record)
    found = [(e["status"], e["reason"]) for e in prepared.job.events.read() if e["kind"] == "stage"]
    here = ("running", "Missing output files: x")
    assert found == [("waiting", "handed to SLURM") if remote else here, here]
