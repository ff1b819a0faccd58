"""Services whose jobs somebody wants to be told of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import select

from tests.webapp.worlds import make_home, open_service
from webapp import jobs
from webapp.jobs import Submission
from webapp.models import Delivery
from webapp.notify.notifier import Notifier
from webapp.service import Service

SECRET = "whsec_c2VjcmV0IG9mIHRoZSB3ZWJob29r"
WEBHOOK = """
webhooks:
  - name: {name}
    url: {url}
    secret: file:{secret}
    events: {events}
"""


def make_service(
    folder: Path,
    database_url: str,
    hook_url: str | None = None,
    events: str = '["job.*"]',
    **given: Any,
) -> Service:
    """Open a service; with `hook_url` its instance has the webhook *explorer*."""
    secret = folder / "hook-secret"
    secret.write_text(SECRET)
    text = ""
    if hook_url:
        text = WEBHOOK.format(name="explorer", url=hook_url, secret=secret, events=events)
    home = make_home(folder / "home", {"default": text})
    return open_service(home.path, database_url, **given)


def submit(service: Service, notify: Sequence[str] = ("jane@example.org",), **given: Any) -> str:
    """Submit a job of *jane*'s; give its id."""
    wanted = Submission("trivial", "default", "jane", notify=notify, **given)
    return jobs.submit(service, wanted).job.id


def tell(service: Service, job_id: str, *events: dict[str, Any]) -> None:
    """Let things happen to a job, as if a worker had worked on it."""
    with service.db.write() as session:
        job = jobs.get(session, job_id, lock=True)
        directory = service.place(job)
        for event in events:
            directory.events.append(**{"kind": "status", "source": "test", "attempt": 1, **event})
        jobs.absorb(service, session, job, directory)


def end(service: Service, job_id: str, status: str = "succeeded", **further: Any) -> None:
    """Let a job have ended."""
    tell(service, job_id, {"status": "running"}, {"status": status, **further})


def deliveries(service: Service, **columns: Any) -> list[Delivery]:
    """Give the rows of the outbox with these values, oldest first."""
    with service.db.read() as session:
        query = select(Delivery).filter_by(**columns).order_by(Delivery.id)
        return list(session.scalars(query))


class Clock:
    """A time that only a test moves."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def send_due(notifier: Notifier) -> None:
    """Try all that is due once, destination by destination, in this thread."""
    notifier.take_over()
    for name in notifier.due():
        worker = notifier.worker(name)
        if worker.is_ready():
            worker.drain()
