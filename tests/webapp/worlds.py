"""A service without web server, workers and Redis, for tests of what is beneath them.

Redis is away in it: nothing that these tests look at may need it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from runner.home import Home
from webapp import pools
from webapp.jobs import Submission
from webapp.models import Job, JobCount
from webapp.service import Service
from webapp.settings import Settings

DATA = Path(__file__).resolve().parents[1] / "data"
PROFILE = "platform: {embedded: none.db}\nenvironments: none\n"


def make_home(path: Path, instances: Mapping[str, str] | None = None) -> Home:
    """Make a home with the types *toy* and *trivial*, and instances by the text of their files."""
    home = Home(path)
    home.releases.publish(str(DATA / "toy"), "toy-1")
    home.releases.publish(str(DATA / "trivial"), "trivial-1")
    files = {"profiles/plain.yaml": PROFILE}
    for name, text in (instances or {"default": ""}).items():
        files[f"instances/{name}.yaml"] = f"profile: plain\n{text}"
    for name, text in files.items():
        file = path / "config" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return home


def settings_of(home: Path, database_url: str, **given: Any) -> Settings:
    """Give the settings of a service without Redis."""
    return Settings(
        home=home, database_url=database_url, redis_url=f"unix://{home}/none.sock", **given
    )


_opened: list[Service] = []


def open_service(home: Path, database_url: str, **given: Any) -> Service:
    """Open a service without Redis."""
    service = Service.open(settings_of(home, database_url, **given))
    _opened.append(service)
    return service


def close_services() -> None:
    """Close the connections of the services that a test has opened."""
    while _opened:
        _opened.pop().db.engine.dispose()


def add_worker(
    service: Service, pool: str = "default", slots: int = 1, cores: int = 64, mem_mb: int = 64_000
) -> str:
    """Have a living worker."""
    with service.db.write() as session:
        return pools.register(session, pool=pool, slots=slots, cores=cores, mem_mb=mem_mb).id


def trivial(instance: str = "default", **given: Any) -> Submission:
    """A submission of the type *trivial*."""
    return Submission(type="trivial", instance=instance, user="jane", **given)


def row(service: Service, job_id: str) -> Job:
    """Give the row of a job as it is now."""
    with service.db.read() as session:
        found = session.get(Job, job_id)
        assert found is not None, job_id
        return found


def assert_counts_are_true(service: Service) -> None:
    """The counters are what counting the rows gives."""
    with service.db.read() as session:
        keys = (Job.instance, Job.type, Job.status)
        counted = Counter({tuple(k): n for *k, n in session.execute(
            select(*keys, func.count()).group_by(*keys)
        )})  # fmt: skip
        kept = {(c.instance, c.type, c.status): c.number for c in session.scalars(select(JobCount))}
    assert {key: number for key, number in kept.items() if number} == dict(counted)


def assert_row_is_directory(service: Service, job_id: str) -> None:
    """Status and number of events of the row are those of the directory."""
    job = row(service, job_id)
    events = list(service.directory(job).events.read())
    statuses = [event["status"] for event in events if event["kind"] == "status"]
    assert (job.status, job.events_seen) == (statuses[-1], events[-1]["n"])
