"""The notifier: nobody waits for another, nothing is lost or repeated, old things are forgotten."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from tests.webapp.notices import SECRET, Clock, deliveries, end, make_service, send_due, submit
from tests.webapp.notifying import make_services, still_clock, still_notifier, telling_service  # noqa: F401
from tests.webapp.receivers import Hooks, Mailbox, hooks, mailbox  # noqa: F401
from tests.webapp.running import until
from webapp import notify
from webapp.notify import store
from webapp.notify.notifier import Notifier
from webapp.service import Service

_DAY = 24 * 3600.0


def test_what_one_destination_does_delays_no_other(
    tmp_path: Path,
    new_database_url: Callable[..., str],
    hooks: Hooks,  # noqa: F811
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and says nothing
        port = silent.getsockname()[1]
        url = new_database_url("sqlite")
        service = make_service(tmp_path, url, hooks.url, mail=f"smtp://127.0.0.1:{port}")
        file = service.home.path / "config" / "instances" / "default.yaml"
        other = f"  - {{name: slow, url: 'http://127.0.0.1:{port}/', secret: 'file:{tmp_path}/s'}}"
        (tmp_path / "s").write_text(SECRET)
        file.write_text(f"{file.read_text()}{other}\n")
        end(service, submit(service))
        notifier = Notifier(service)
        notifier.look()

        def waiting() -> set[str]:
            return {row.target for row in deliveries(service, state="waiting")}

        until(lambda: waiting() == {"email", "slow"}, "the other gets its events", 8)
        assert len(hooks.received) == 3
        for worker in notifier._workers.values():
            worker.stop()
    until(lambda: not any(w.is_alive() for w in notifier._workers.values()), "threads end")
    service.db.engine.dispose()


def test_a_database_that_is_away_delays_notices_and_repeats_none(
    service: Service,
    notifier: Notifier,
    clock: Clock,
    mailbox: Mailbox,  # noqa: F811
    hooks: Hooks,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    end(service, submit(service))
    real = store.take_down

    def away(*given: object) -> bool:
        raise store.Delivered("not now")

    monkeypatch.setattr(store, "take_down", away)
    for _ in range(2):
        with pytest.raises(store.Delivered):
            send_due(notifier)
    monkeypatch.setattr(store, "take_down", real)
    send_due(notifier)
    assert {row.state for row in deliveries(service)} == {"delivered"}
    assert (len(mailbox.accepted), len(hooks.received)) == (1, 3)


def test_a_journal_that_was_cut_off_is_read_up_to_there(
    service: Service,
    notifier: Notifier,
    clock: Clock,
    mailbox: Mailbox,  # noqa: F811
) -> None:
    jobs = [submit(service) for _ in range(2)]
    for job_id in jobs:
        end(service, job_id)
    line = f'["{jobs[0]}-3-email", ["jane@example.org"], "accepted for 1"]\n'
    (service.home.path / "notices.journal").write_text(f'{line}["{jobs[1]}-3-em')
    send_due(notifier)
    assert [to for to, _, _ in mailbox.accepted] == [f"<{jobs[1]}-3-email@localhost>"]
    assert (service.home.path / "notices.journal").stat().st_mode & 0o077 == 0


def test_one_notifier_sends_and_the_next_takes_over(service: Service, notifier: Notifier) -> None:
    from webapp.lease import lease

    def mine() -> bool:
        with lease(service.home.path, "notifier") as got:
            return got

    with lease(service.home.path, "notifier"):
        assert not mine()
    assert mine()


def test_operators_get_alerts(
    service: Service,
    notifier: Notifier,
    clock: Clock,
    mailbox: Mailbox,  # noqa: F811
) -> None:
    with service.db.write() as session:
        notify.alert(service, session, key="d", began=True, subject="Disk low", message="Act.")
    send_due(notifier)
    ((_, to, message),) = mailbox.accepted
    assert (to, message["Subject"]) == (["ops@example.org"], "Disk low")


def test_finished_deliveries_are_forgotten_after_a_while(
    service: Service, notifier: Notifier, clock: Clock
) -> None:
    end(service, submit(service))
    send_due(notifier)
    with service.db.write() as session:
        assert store.prune(session, clock.now + 89 * _DAY) == 0
        assert store.prune(session, clock.now + 91 * _DAY) == 4


def test_a_look_for_what_is_due_reads_no_finished_deliveries(service: Service) -> None:
    asked: list[tuple[str, Any]] = []
    engine = service.db.engine
    event.listen(engine, "before_cursor_execute", lambda *found: asked.append(found[2:4]))
    with service.db.read() as session:
        store.destinations(session, "2026")
        store.due(session, store.Name("webhook", "default", "explorer"), "2026")
        looks = [found for found in asked if "deliveries" in found[0]]
        assert len(looks) == 2
        for sql, values in looks:
            plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)
            steps = [str(row[3]) for row in plan if "deliveries" in str(row[3])]
            assert steps, sql
            assert all(step.startswith("SEARCH") and "ix_deliveries_" in step for step in steps), (
                steps
            )
