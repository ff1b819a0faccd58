"""A service with the toy job type, spoken to through its API; its Redis is away."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from runner.home import Home
from tests.runner.conftest import TOY
from webapp import jobs, tokens
from webapp.api import create_app
from webapp.models import Job
from webapp.service import Service
from webapp.settings import Settings

PROFILE = "platform: {embedded: none.db}\nenvironments: none\nlimits: {cores: 2}\n"
DOCUMENT = {"type": "toy"}
FILE = {"text": ("some words.txt", b"one two\n")}


class Api:
    """The API of a service, as its users see it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.home = service.home.path
        self.app = create_app(service)
        self.client: FlaskClient = self.app.test_client()

    def token(self, role: str = "submitter", name: str = "jane", **given: Any) -> dict[str, str]:
        """Make a token and give the header that shows it."""
        with self.service.db.write() as session:
            text = tokens.create(session, name=name, role=role, **given)
        return {"Authorization": f"Bearer {text}"}

    def submit(
        self,
        headers: Mapping[str, str],
        document: Any = None,
        files: Mapping[str, tuple[str, bytes]] | None = None,
        query: str = "",
        order: Callable[[list[Any]], list[Any]] = list,
    ) -> TestResponse:
        """Send a form with the part `request` and the files; `order` puts its parts in order."""
        parts: list[tuple[str, Any]] = []
        if document is not False:
            parts.append(("request", json.dumps(DOCUMENT if document is None else document)))
        for name, (filename, content) in (FILE if files is None else files).items():
            parts.append((name, (io.BytesIO(content), filename)))
        body, kind = form(order(parts))
        return self.client.post(
            f"/api/v1/jobs{query}", data=body, content_type=kind, headers=dict(headers)
        )

    def job(self, headers: Mapping[str, str] | None = None, **document: Any) -> str:
        """Submit a job and give its id."""
        answer = self.submit(headers or self.token(), {**DOCUMENT, **document})
        assert answer.status_code == 202, answer.text
        return str(answer.json["id"])  # type: ignore[index]

    def end(self, job_id: str, status: str = "succeeded") -> None:
        """Let a job have ended."""
        with self.service.db.write() as session:
            job = jobs.get(session, job_id, lock=True)
            directory = self.service.directory(job)
            directory.events.append("status", source="test", status=status)
            jobs.absorb(self.service, session, job, directory)

    def row(self, job_id: str) -> Job:
        with self.service.db.read() as session:
            return jobs.get(session, job_id)

    def count(self) -> int:
        """How many jobs there are."""
        with self.service.db.read() as session:
            return session.scalar(select(func.count()).select_from(Job)) or 0

    def left_behind(self) -> list[str]:
        """Everything on disk that would not be there without jobs."""
        found = [self.home / "uploads", self.home / "jobs"]
        return [str(p) for f in found for p in f.rglob("*") if p.is_file() or "draft" in p.name]

    def instance(self, name: str, text: str) -> None:
        """Write the file of an instance."""
        folder = self.home / "config" / "instances"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.yaml").write_text(text)


def form(parts: list[tuple[str, Any]], boundary: str = "xyzzy") -> tuple[bytes, str]:
    """Write a multipart form whose parts stand in the given order."""
    body = b""
    for name, value in parts:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
        if isinstance(value, tuple):
            stream, filename = value
            head += f'; filename="{filename}"\r\nContent-Type: application/octet-stream'
            content = stream.read()
        else:
            content = value.encode() if isinstance(value, str) else value
        body += f"{head}\r\n\r\n".encode() + content + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def at(answer: TestResponse) -> list[str]:
    """The pointers of the problems of an answer, sorted."""
    assert answer.mimetype == "application/problem+json", answer.text
    return sorted(found["pointer"] for found in answer.json["problems"])  # type: ignore[index]


@pytest.fixture
def api_settings(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    new_database_url: Callable[[str, bool], str],
) -> Settings:
    """Settings with a SQLite database, or with the backend that the test names."""
    home = tmp_path / "home"
    home.mkdir()
    return Settings(
        home=home,
        database_url=new_database_url(getattr(request, "param", "sqlite"), True),
        redis_url=f"unix://{tmp_path / 'no-redis.sock'}",
        disk_reserve=0,
        upload_limit=1_000_000,
    )


@pytest.fixture
def api(api_settings: Settings) -> Iterator[Api]:
    Home(api_settings.home).releases.publish(str(TOY), "toy-1")
    profiles = api_settings.home / "config" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "plain.yaml").write_text(PROFILE)
    (profiles / "big.yaml").write_text(PROFILE)
    service = Service.open(api_settings)
    found = Api(service)
    found.instance("default", "profile: plain\n")
    found.instance("other", "profile: plain\n")
    yield found
    service.db.engine.dispose()
