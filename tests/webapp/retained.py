"""Jobs that ended some time ago, with files of each kind, for tests of retention."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from runner.retention import KINDS
from webapp import jobs, retention
from webapp.jobs import Submission
from webapp.models import Job
from webapp.service import Service

from .worlds import DATA, row

FILES = {
    "work": ("work/a.txt", "work/deep/b.txt"),
    "results": ("results/only.txt",),
    "logs": ("logs/job.log", ".snakemake/log/1.snakemake.log"),
}
STAYS = ("job.yaml", "events.jsonl", "input/words.txt", "attempts/1.json")
_BYTES = 100  # of each file


def hours_ago(hours: float) -> str:
    """Give a time as events have it."""
    moment = datetime.now(UTC) - timedelta(hours=hours)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def publish(service: Service, label: str, policy: str, scratch: Path) -> None:
    """Publish the type *trivial* with a policy, as a release of that label."""
    source = scratch / label
    shutil.copytree(DATA / "trivial", source)
    file = source / "workflow" / "trivial" / "jobtype.yaml"
    file.write_text(f"{file.read_text()}retention: {policy}\n")
    service.home.releases.publish(str(source), label)


def write_instance(service: Service, name: str, text: str) -> None:
    """Write the file of an instance."""
    file = service.home.path / "config" / "instances" / f"{name}.yaml"
    file.write_text(f"profile: plain\n{text}")


def job(
    service: Service,
    hours: float = 0,
    status: str = "succeeded",
    *,
    instance: str = "default",
    version: str = "trivial-1",
    pinned: bool = False,
) -> str:
    """Give the id of a job that came into its status so many hours ago, with all its files."""
    wanted = Submission("trivial", instance, "jane", version=version)
    job_id = jobs.submit(service, wanted).job.id
    root = path_of(service, job_id)
    for name in (*(file for files in FILES.values() for file in files), *STAYS[2:]):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x" * _BYTES)
    (root / "attempts" / "1.json").write_text('{"attempt": 1, "outcome": "succeeded"}')
    add_status(service, job_id, hours, status)
    if pinned:
        jobs.change(service, job_id, "jane", pinned=True)
    return job_id


def add_status(service: Service, job_id: str, hours: float, *statuses: str) -> None:
    """Let a job have come into statuses, so many hours ago."""
    directory = service.directory(row(service, job_id))
    for status in statuses:
        directory.events.append("status", source="test", status=status, time=hours_ago(hours))
    jobs.take_over(service, job_id)


def path_of(service: Service, job_id: str) -> Path:
    """Give the directory of a job."""
    return service.path(row(service, job_id))


def kept(service: Service, job_id: str) -> set[str]:
    """Give the kinds of files that a job has; half of a kind is a mistake."""
    root, found = path_of(service, job_id), set()
    for kind in KINDS:
        there = [(root / name).exists() for name in FILES[kind]]
        assert all(there) or not any(there), (kind, there)
        found |= {kind} if all(there) else set()
    assert all((root / name).is_file() for name in STAYS), "what is never removed"
    assert not list(root.glob(".removed-*"))
    return found


def told(found: Job) -> set[str]:
    """Give the kinds that a row says were removed."""
    return {kind for kind in KINDS if getattr(found, f"{kind}_removed") is not None}


def sweep_all(service: Service, budget: int = 2, passes: int = 200) -> int:
    """Sweep with a small budget until nothing is left to do; give how many jobs it was."""
    sweeper, number = retention.Sweeper(service), 0
    for _ in range(passes):
        report = sweeper.sweep(budget)
        assert report.jobs <= budget
        number += report.jobs
        if not report.spent:
            return number
    raise AssertionError(f"no end within {passes} passes")


def notes(service: Service, job_id: str) -> list[dict[str, object]]:
    """Give the events of a job that tell of a removal."""
    events = service.directory(row(service, job_id)).events.read()
    return [event for event in events if "removed" in event]
