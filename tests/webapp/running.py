"""A whole service as `jobrunner up` runs it: real processes, for tests that stop and kill them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
from sqlalchemy import select

from tests.webapp.worlds import make_home
from webapp import jobs, migrate, redis_server
from webapp.jobs import Submission
from webapp.models import ENDED, Job
from webapp.service import Service
from webapp.settings import Settings, socket_path

ROOT = Path(__file__).resolve().parents[2]
QUICK = {  # dead workers and lost wake-ups are found within a second
    "JOBRUNNER_HEARTBEAT": "0.5",
    "JOBRUNNER_WORKER_LOST_AFTER": "5",
    "JOBRUNNER_RECONCILE_EVERY": "0.5",
    "JOBRUNNER_LOG_LEVEL": "WARNING",
}
_Found = TypeVar("_Found")


def until(look: Callable[[], _Found], what: str = "", seconds: float = 60) -> _Found:
    """Give what `look` finds, once it finds something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or look}"
        time.sleep(0.02)
    return found


@dataclass
class Running:
    """Processes of a service over a home, and the same service opened in this process."""

    service: Service
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    url: str = ""
    token: str = ""
    output: Path = Path()

    @property
    def home(self) -> Path:
        """The home folder."""
        return self.service.home.path

    def environment(self) -> dict[str, str]:
        """Give the environment in which commands work on this service."""
        settings = self.service.settings
        named = {"HOME": str(self.home), "DATABASE_URL": settings.database_url}
        return {**os.environ, **{f"JOBRUNNER_{name}": value for name, value in named.items()}}

    def start(self, module: str, *options: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command of the service, its output going to a file."""
        self.output = self.home / f"output-{len(self.processes)}.txt"
        with self.output.open("w") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", f"webapp.cli.{module}", *options],
                env={**self.environment(), **QUICK, **environment},
                cwd=ROOT,
                stdout=stream,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def up(self, *options: str, slots: int = 2, **environment: str) -> subprocess.Popen[str]:
        """Start `jobrunner up` and wait until it says that it is up."""
        token = self.home / "token"
        given = ["--port", "0", "--slots", str(slots), "--token-file", str(token), *options]
        process = self.start("up", *given, **environment)
        output = self.output

        def said() -> str:
            text = output.read_text()
            assert process.poll() is None, text
            return text if "Ctrl-C ends it" in text else ""

        text = until(said, "the service is up")
        self.url = text.partition("is up: ")[2].split()[0]
        self.token = token.read_text().strip()
        return process

    def submit(self, type_name: str = "toy", **given: Any) -> str:
        """Submit a job and give its id."""
        words = self.home / "words.txt"
        words.write_text("one two\n")
        inputs = {"text": words} if type_name == "toy" else {}
        given = {"instance": "default", "user": "jane", "inputs": inputs, **given}
        return jobs.submit(self.service, Submission(type_name, **given)).job.id

    def row(self, job_id: str) -> Job:
        """Give the row of a job."""
        with self.service.db.read() as session:
            return jobs.get(session, job_id)

    def events(self, job_id: str) -> list[dict[str, Any]]:
        """Give what the directory of a job says."""
        return list(self.service.directory(self.row(job_id)).events.read())

    def statuses(self) -> dict[str, str]:
        """Give the status of every job."""
        with self.service.db.read() as session:
            return {
                job_id: status for job_id, status in session.execute(select(Job.id, Job.status))
            }

    def until_running(self, job_id: str) -> Job:
        """Wait until the second stage of a toy job runs; give the job's row."""

        def runs() -> bool:
            return any(e.get("stage") == "second" for e in self.events(job_id))

        until(runs, f"{job_id} runs; {self.output.read_text()}")
        return self.row(job_id)

    def until_ended(self, *job_ids: str, seconds: float = 90) -> list[str]:
        """Wait until jobs have ended; give their statuses."""

        def ended() -> bool:
            statuses = self.statuses()
            return all(statuses[job_id] in ENDED for job_id in job_ids)

        try:
            until(ended, "jobs end", seconds)
        except AssertionError:
            raise AssertionError(f"{self.statuses()}\n{self.output.read_text()}") from None
        statuses = self.statuses()
        return [statuses[job_id] for job_id in job_ids]

    def worker(self) -> psutil.Process:
        """Give the worker process."""
        return until(lambda: self._of(self.processes[-1].pid, "webapp.cli.worker"), "a worker")

    def web(self) -> psutil.Process:
        """Give the first process of the web server."""
        return until(lambda: self._of(self.processes[-1].pid, "webapp.cli.web"), "a web server")

    def redis(self) -> psutil.Process:
        """Give the Redis server."""
        return until(lambda: self._of(self.processes[-1].pid, "redis-server"), "a Redis")

    def horse(self, job_id: str) -> psutil.Process:
        """Give the work horse of a running job: the supervisor of its leader."""
        found = psutil.Process(self.leader(job_id)).parent()
        assert found is not None
        return found

    def leader(self, job_id: str) -> int:
        """Give the pid of the leader of a running job."""
        import json

        path = self.service.path(self.row(job_id)) / "attempts" / "leader.lock"
        return int(until(lambda: path.read_text() and json.loads(path.read_text())["pid"]))

    def _of(self, parent: int, word: str) -> psutil.Process | None:
        with suppress(psutil.Error):
            for child in psutil.Process(parent).children():
                if any(word in part for part in child.cmdline()):
                    return child
        return None

    def left(self) -> list[psutil.Process]:
        """Give the processes that work in this home, besides this one."""
        found = []
        wanted = f"JOBRUNNER_HOME={self.home}".encode()
        for process in psutil.process_iter():
            with suppress(OSError, psutil.Error):
                environment = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
                if wanted in environment and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def stop(self) -> None:
        """Stop what runs, at once."""
        for process in self.left():
            with suppress(psutil.Error):
                process.kill()
        for process in self.processes:
            process.wait()
        self.service.db.engine.dispose()


def open_running(home: Path, database_url: str | None = None) -> Running:
    """Open the service of a home, its tables made; nothing runs yet."""
    given = {"database_url": database_url} if database_url else {}
    service = Service.open(Settings(home=home, disk_reserve=0, **given))
    migrate.upgrade(service.db)
    return Running(service)


@contextmanager
def service_up(folder: Path, slots: int = 2) -> Iterator[Running]:
    """A whole service over a home of its own, with toy and trivial jobs; it stops at the end."""
    running = open_running(make_home(folder / "home").path)
    try:
        running.up(slots=slots)
        yield running
    finally:
        running.stop()


def assert_exactly_once(running: Running, job_ids: Sequence[str]) -> None:
    """Each job succeeded in exactly one attempt, and no two attempts of it overlapped."""
    for job_id in job_ids:
        outcomes, open_attempts = [], 0
        for event in running.events(job_id):
            # without a number: the supervisor died before there was an attempt
            if event["kind"] == "attempt" and event["attempt"] is not None:
                open_attempts += 1 if event["status"] == "started" else -1
                outcomes.append(event["status"])
                assert open_attempts in (0, 1), (job_id, outcomes)
        assert outcomes.count("succeeded") == 1, (job_id, outcomes)
        assert outcomes[-1] == "succeeded", (job_id, outcomes)
        assert running.events(job_id)[-1]["status"] == running.row(job_id).status == "succeeded"


@pytest.fixture
def service_home(tmp_path: Path) -> Path:
    """A home with toy and trivial jobs, which run without environments."""
    return make_home(tmp_path / "home").path


@pytest.fixture
def redis_url(service_home: Path) -> Iterator[str]:
    """Address of a real Redis in that home, as `jobrunner up` starts it."""
    pid = redis_server.start(service_home)
    yield f"unix://{socket_path(service_home)}"
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)


@pytest.fixture
def backend() -> str:
    """Which database a service gets: ``sqlite`` or ``postgresql``; for tests to parametrize."""
    return "sqlite"


@pytest.fixture
def idle_service(
    service_home: Path, backend: str, new_database_url: Callable[..., str]
) -> Iterator[Running]:
    """A service over that home, of which nothing runs yet."""
    running = open_running(service_home, new_database_url(backend))
    yield running
    running.stop()


@pytest.fixture
def running_service(idle_service: Running) -> Running:
    """The whole service, with two slots."""
    idle_service.up()
    return idle_service
