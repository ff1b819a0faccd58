"""Mail server and receiver go away, the notifier is killed: all arrive, and none after a yes."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from itertools import groupby
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from sqlalchemy import text
from standardwebhooks import Webhook

from tests.webapp.notices import SECRET, deliveries, end, make_service, submit
from tests.webapp.receivers import Hooks, Mailbox, hooks, mailbox  # noqa: F401
from tests.webapp.running import until
from webapp import notify
from webapp.notify.notifier import JOURNAL
from webapp.service import Service
from webapp.settings import Settings

JOBS = 100
KILLS = 10
_SERVER = multiprocessing.get_context("forkserver")  # from a process that has no threads
_SERVER.set_forkserver_preload(["webapp.notify.notifier"])


class Notifiers:
    """The notifying process, one at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: BaseProcess | None = None

    def start(self) -> None:
        self._process = _SERVER.Process(target=_notify, args=(self._settings,))
        self._process.start()

    def kill(self) -> None:
        assert self._process is not None
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()
        self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self.kill()


def _notify(settings: Settings) -> None:
    notify.watch(Service.open(settings))


@pytest.fixture(params=["sqlite", "postgresql"])
def service(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    new_database_url: Callable[..., str],
    mailbox: Mailbox,  # noqa: F811
    hooks: Hooks,  # noqa: F811
) -> Iterator[Service]:
    """A service whose mails and webhooks go to servers of the test."""
    url = new_database_url(request.param)
    service = make_service(tmp_path, url, hooks.url, mail=mailbox.address)
    yield service
    service.db.engine.dispose()


@pytest.fixture
def notifiers(service: Service) -> Iterator[Notifiers]:
    found = Notifiers(service.settings)
    yield found
    found.stop()


def test_each_job_is_told_of_once_whatever_dies_and_goes_away(
    service: Service,
    notifiers: Notifiers,
    mailbox: Mailbox,  # noqa: F811
    hooks: Hooks,  # noqa: F811
) -> None:
    mailbox.delay = 0.004  # so that kills meet mails on their way
    _away(mailbox, hooks)
    jobs = [submit(service) for _ in range(JOBS)]
    for job_id in jobs:
        end(service, job_id)
    notifiers.start()
    _until_tried(service)
    for number in range(1, KILLS + 1):
        notifiers.kill()
        if number == 2:
            _back(mailbox, hooks)
        if number == 6:
            _away(mailbox, hooks)
        notifiers.start()
        if number == 6:
            _until_tried(service)
            _back(mailbox, hooks)
        elif number > 2:
            more = len(mailbox.accepted) + number % 4
            until(lambda more=more: len(mailbox.accepted) > more, "it goes on")  # type: ignore[misc]
    until(lambda: not deliveries(service, state="waiting"), "all have arrived")
    assert {row.state for row in deliveries(service)} == {"delivered"}
    _assert_mails(mailbox, jobs)
    _assert_webhooks(hooks, jobs)


@pytest.mark.parametrize("service", ["sqlite"], indirect=True)
def test_a_yes_that_the_database_could_not_keep_is_not_asked_for_again(
    service: Service,
    notifiers: Notifiers,
    mailbox: Mailbox,  # noqa: F811
    hooks: Hooks,  # noqa: F811
) -> None:
    _away(mailbox, hooks)
    end(service, submit(service))
    journal = service.home.path / JOURNAL
    with service.db.write() as session:
        session.execute(text("SELECT 1"))  # nobody else writes now
        _back(mailbox, hooks)
        notifiers.start()
        until(lambda: _lines(journal) == 2, "mail and first webhook are acknowledged")
        notifiers.kill()
    assert {row.state for row in deliveries(service)} == {"waiting"}
    notifiers.start()
    until(lambda: not deliveries(service, state="waiting"), "all have arrived")
    assert len(mailbox.accepted) == 1
    assert [document["type"] for document in hooks.documents()] == [
        f"ixmp.jobrunner.job.{status}" for status in ("queued", "running", "succeeded")
    ]


def _away(mailbox: Mailbox, hooks: Hooks) -> None:  # noqa: F811
    mailbox.stop()
    hooks.stop()


def _back(mailbox: Mailbox, hooks: Hooks) -> None:  # noqa: F811
    mailbox.start()
    hooks.start()


def _lines(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def _until_tried(service: Service) -> None:
    """Wait until both destinations were found to be away once more."""
    before = sum(row.tries for row in deliveries(service, state="waiting"))
    until(
        lambda: sum(row.tries for row in deliveries(service, state="waiting")) >= before + 2,
        "both are tried",
    )


def _assert_mails(mailbox: Mailbox, jobs: list[str]) -> None:  # noqa: F811
    sent = mailbox.ids()
    assert set(sent) == {f"<{job_id}-3-email@localhost>" for job_id in jobs}
    assert mailbox.after_proof == []
    assert sum(sent.values()) <= JOBS + KILLS  # one for each kill between a yes and its reading
    assert sum(mailbox.proven.values()) >= JOBS - 2 * KILLS  # it can tell at all


def _assert_webhooks(hooks: Hooks, jobs: list[str]) -> None:  # noqa: F811
    assert len(hooks.received) <= 3 * JOBS + KILLS
    told: dict[str, list[str]] = {}
    for headers, body in hooks.received:
        document = Webhook(SECRET).verify(body, headers)
        told.setdefault(document["subject"], []).append(document["id"])
    expected = {job: [f"{job}-{n}-explorer" for n in (1, 2, 3)] for job in jobs}
    assert {job: [key for key, _ in groupby(keys)] for job, keys in told.items()} == expected
