"""An application over a real service: a home with the toy job type, a database, a Redis."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apiflask import APIFlask
from werkzeug.test import TestResponse

from runner.home import Home
from tests.webapp.conformity import Conformity
from webapp import jobs, redis_server, tokens
from webapp.api import create_app
from webapp.jobs import Submission
from webapp.service import Service
from webapp.settings import Settings

TOY = Path(__file__).resolve().parents[1] / "data" / "toy"
INSTANCES = ("default", "other")


@dataclass
class Api:
    """The application, and what tests do with it."""

    app: APIFlask
    service: Service
    conformity: Conformity
    redis: int  # pid
    _tokens: dict[tuple[Any, ...], str] = field(default_factory=dict)

    def token(self, role: str, instance: str | None = None, acting: bool = False) -> str:
        """Give a token; its user has the role's name."""
        key = (role, instance, acting)
        if key not in self._tokens:
            with self.service.db.write() as session:
                self._tokens[key] = tokens.create(
                    session, name=role, role=role, instance=instance, acting=acting
                )
        return self._tokens[key]

    def call(
        self, method: str, path: str, token: str | None = "admin", **options: Any
    ) -> TestResponse:
        """Send a request; `token` is a token, or the role of one for all instances."""
        headers = dict(options.pop("headers", {}))
        if token is not None:
            text = token if token.startswith("jr_") else self.token(token)
            headers["Authorization"] = f"Bearer {text}"
        answer = self.app.test_client().open(path, method=method, headers=headers, **options)
        self.conformity.check(method, path, answer)
        return answer

    def job(self, instance: str = "default", user: str = "submitter", **given: Any) -> str:
        """Submit a job and give its id."""
        source = self.service.home.path / "words.txt"
        source.write_text("one two\n")
        wanted = Submission("toy", instance, user, inputs={"text": source}, **given)
        return jobs.submit(self.service, wanted).job.id

    def ended_job(self, instance: str = "default", user: str = "submitter") -> str:
        """Give the id of a job that was cancelled."""
        job_id = self.job(instance, user)
        jobs.cancel(self.service, job_id, user)
        return job_id


@contextmanager
def running(folder: Path, database_url: str) -> Iterator[Api]:
    """Set up a home and the application over it; its Redis is stopped at the end."""
    home = Home(folder / "home")
    home.releases.publish(str(TOY), "toy-1")
    _write(
        home.path / "config" / "profiles" / "local.yaml",
        "platform: {embedded: none.db}\nenvironments: none\n",
    )
    for name in INSTANCES:
        _write(home.path / "config" / "instances" / f"{name}.yaml", f"title: Instance {name}\n")
    settings = Settings(home=home.path, database_url=database_url, disk_reserve=0)
    redis = redis_server.start(home.path)
    try:
        service = Service.open(settings)
        app = create_app(service)
        yield Api(app, service, Conformity(app), redis)
        service.db.engine.dispose()
    finally:
        with suppress(ProcessLookupError):
            os.kill(redis, signal.SIGKILL)
        os.waitpid(redis, 0)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
