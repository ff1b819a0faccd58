"""SLURM did not answer when a job ended: what it left there is cancelled later, by itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from runner import record
from runner.files import write_json
from runner.jobdir import JobDirectory
from runner.options import RunOptions
from runner.slurm import cancel
from tests.faults.disks import mounted
from tests.slurm.cluster import Cluster
from tests.slurm.rule_runs import Attempt
from tests.webapp.worlds import close_services, make_home, open_service, row, trivial
from webapp import jobs, migrate
from webapp.service import Service
from webapp.slurm_left import LookAfter

RUN = "jobrunner-01LEFT-1-0123abcd"
PROFILE = "platform: {embedded: none.db}\nenvironments: none\nexecutor: slurm\n"


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service whose jobs run on SLURM; nobody works in it."""
    home = make_home(tmp_path / "home", {"default": ""})
    (home.path / "config" / "profiles" / "plain.yaml").write_text(PROFILE)
    monkeypatch.setattr(cancel, "_silence", {})
    service = open_service(home.path, f"sqlite:///{tmp_path}/service.db")
    migrate.upgrade(service.db)
    return service


def _cancelled_without_proof(service: Service, cluster: Cluster) -> tuple[str, str]:
    """Make a cancelled job that has left a SLURM job which waits; give the ids of both."""
    job = jobs.submit(service, trivial()).job.id
    directory = service.directory(row(service, job))
    record.begin(directory, 1, [], RunOptions(), RUN)
    rule_runs = Attempt(cluster, directory.attempts / "1" / "slurm", RUN)
    slurm_job = rule_runs.submit("write.1", "true", options=("--hold",))
    (last,) = record.records(directory)
    record.close(directory, {**last, "outcome": "cancelled"})
    jobs.take_over(service, job)
    assert row(service, job).status == "cancelled"
    return job, slurm_job


def test_it_is_cancelled_by_the_service_and_that_is_written_down(
    slurm_conf: Cluster, service: Service
) -> None:
    job, slurm_job = _cancelled_without_proof(service, slurm_conf)
    after = LookAfter(service)
    done = after.look()  # told to go; by now it may be gone, or be found so by the next look
    slurm_conf.until_state(slurm_job, "CANCELLED")
    assert done + after.look() == 1
    assert all(map(record.has_left_slurm, record.records(service.directory(row(service, job)))))
    assert after.look() == 0
    close_services()


def test_its_own_cluster_is_asked_by_whoever_serves_another(
    slurm_conf: Cluster, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, slurm_job = _cancelled_without_proof(service, slurm_conf)
    monkeypatch.setenv("SLURM_CONF", "/of/another/cluster.conf")
    LookAfter(service).look()
    slurm_conf.until_state(slurm_job, "CANCELLED")
    close_services()


def test_a_full_disk_keeps_no_attempt_from_its_end(slurm_conf: Cluster, service: Service) -> None:
    with _on_a_full_disk(service, slurm_conf) as (directory, slurm_job):
        (last,) = record.records(directory)
        assert record.leave_slurm(directory, last, 30)
        record.close(directory, {**last, "outcome": "failed"})
        assert [found["outcome"] for found in record.records(directory)] == ["failed"]
    slurm_conf.until_state(slurm_job, "CANCELLED")
    close_services()


def test_what_cannot_be_stopped_for_a_full_disk_is_cancelled_and_stopped_later(
    slurm_conf: Cluster, service: Service
) -> None:
    with _on_a_full_disk(service, slurm_conf) as (directory, slurm_job):
        (directory.attempts / ".reserve").rename(directory.attempts / "taken")
        (last,) = record.records(directory)
        assert not record.leave_slurm(directory, last, 1)
        assert "write.1/fence cannot be written (No space left" in last["slurm"]["left"]
        slurm_conf.until_state(slurm_job, "CANCELLED")
        (directory.attempts / "taken").unlink()
        assert record.leave_slurm(directory, last, 30)
    close_services()


@contextmanager
def _on_a_full_disk(service: Service, cluster: Cluster) -> Iterator[tuple[JobDirectory, str]]:
    """Give a job on a full disk, whose attempt has a SLURM job that waits."""
    directory = service.directory(row(service, jobs.submit(service, trivial()).job.id))
    directory.attempts.rmdir()
    with mounted(directory.attempts, "1m") as folder:
        record.begin(directory, 1, [], RunOptions(), RUN)
        rule_runs = Attempt(cluster, folder / "1" / "slurm", RUN)
        slurm_job = rule_runs.submit("write.1", "true", options=("--hold",))
        with suppress(OSError), (folder / "ballast").open("wb", buffering=0) as stream:
            while True:
                stream.write(b"x" * 4096)
        yield directory, slurm_job


def test_while_slurm_does_not_answer_it_is_remembered_and_told_once(
    slurm_conf: Cluster, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, slurm_job = _cancelled_without_proof(service, slurm_conf)
    after, there = LookAfter(service), os.environ["PATH"]
    monkeypatch.setattr(cancel, "_SILENT_FOR", 0.0)
    monkeypatch.setenv("PATH", "/nowhere")
    assert after.look() == after.look() == 0
    notes = [e["message"] for e in service.directory(row(service, job)).events.read()
             if e["kind"] == "note"]  # fmt: skip
    assert len(notes) == 1
    assert "not proven to be gone: SLURM cannot be asked here (squeue is not on" in notes[0]
    monkeypatch.setenv("PATH", there)
    after.look()
    slurm_conf.until_state(slurm_job, "CANCELLED")
    after.look()
    told = list(service.directory(row(service, job)).events.read())[-1]["message"]
    assert told == "The SLURM jobs of this attempt are gone now."
    close_services()


def test_a_job_that_left_nothing_is_not_looked_after(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    job = jobs.submit(service, trivial()).job.id
    directory = service.directory(row(service, job))
    record.begin(directory, 1, [], RunOptions(), RUN)
    (last,) = record.records(directory)
    last["slurm"]["gone"] = True
    write_json(directory.attempts / "1.json", last)
    record.close(directory, {**last, "outcome": "succeeded"})
    jobs.take_over(service, job)
    assert LookAfter(service).look() == 0
    assert not [e for e in directory.events.read() if e["kind"] == "note"]
    close_services()
