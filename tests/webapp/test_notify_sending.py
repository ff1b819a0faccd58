"""What becomes of a notice: tried again, given up, accepted once, and nobody waits for another."""

from __future__ import annotations

import os
from pathlib import Path

from tests.webapp.notices import Clock, deliveries, end, send_due, submit
from tests.webapp.notifying import make_services, still_clock, still_notifier, telling_service  # noqa: F401
from tests.webapp.receivers import Hooks, Mailbox, hooks, mailbox  # noqa: F401
from webapp.notify import store
from webapp.notify.notifier import Notifier
from webapp.notify.outcome import backoff
from webapp.service import Service

_DAY = 24 * 3600.0


def _go_on(notifier: Notifier, clock: Clock, seconds: float, step: float) -> None:
    """Let time pass, with a look at every `step` seconds."""
    until_then = clock.now + seconds
    while clock.now < until_then:
        clock.now += step
        send_due(notifier)


def test_the_wait_doubles_up_to_a_quarter_of_an_hour_and_half_of_it_is_chance() -> None:
    for failures in range(1, 200):
        whole = min(2.0 ** (failures - 1), 900)
        assert backoff(failures, lambda: 0.0) == whole / 2
        assert backoff(failures, lambda: 1.0) == whole
    assert len({backoff(5) for _ in range(10)}) > 1


def test_what_was_accepted_is_not_sent_again(
    service: Service,
    notifier: Notifier,
    clock: Clock,
    mailbox: Mailbox,  # noqa: F811
    hooks: Hooks,  # noqa: F811
) -> None:
    end(service, submit(service))
    send_due(notifier)
    clock.now += 3600
    send_due(notifier)
    assert [row.state for row in deliveries(service)] == ["delivered"] * 4
    assert (len(mailbox.accepted), len(hooks.received)) == (1, 3)
    assert {row.history[0]["outcome"] for row in deliveries(service)} == {"accepted"}


def test_events_of_a_job_wait_for_earlier_ones_and_those_of_other_jobs_do_not(
    service: Service,
    notifier: Notifier,
    clock: Clock,
    hooks: Hooks,  # noqa: F811
) -> None:
    first = submit(service, [])
    end(service, first)
    second = submit(service, [])
    hooks.answers = [500]
    send_due(notifier)
    send_due(notifier)
    subjects = [document["subject"] for document in hooks.documents()]
    assert subjects == [first, second]
    clock.now += 2
    send_due(notifier)
    told = [d["type"] for d in hooks.documents() if d["subject"] == first]
    assert [name.rpartition(".")[2] for name in told] == [
        "queued", "queued", "running", "succeeded",
    ]  # fmt: skip


def test_after_a_day_a_notice_is_given_up_and_the_next_of_its_job_is_tried(
    service: Service,
    notifier: Notifier,
    clock: Clock,
    hooks: Hooks,  # noqa: F811
) -> None:
    submit(service, [])
    hooks.answers = [500] * 1000
    _go_on(notifier, clock, _DAY, 300)
    (row,) = deliveries(service)
    assert (row.state, row.finished) == ("given_up", store.text_of(clock.now))
    assert row.history[-1]["outcome"] == "given_up"
    assert "HTTP 500" in row.history[-1]["detail"]
    assert 80 < row.tries < 250
    asked = len(hooks.received)
    _go_on(notifier, clock, _DAY, 7200)
    assert len(hooks.received) == asked


def test_what_waits_behind_a_destination_that_is_away_is_given_up_in_time_too(
    service: Service,
    notifier: Notifier,
    clock: Clock,
    mailbox: Mailbox,  # noqa: F811
    hooks: Hooks,  # noqa: F811
) -> None:
    mailbox.stop()
    hooks.stop()
    for _ in range(5):
        end(service, submit(service))
    _go_on(notifier, clock, _DAY + 3600, 1800)
    assert {row.state for row in deliveries(service)} == {"given_up"}
    assert sum(row.tries for row in deliveries(service)) < 2 * 160, "it is not hammered at"


def test_when_the_destination_is_back_all_that_waits_is_sent_at_once(
    service: Service,
    notifier: Notifier,
    clock: Clock,
    mailbox: Mailbox,  # noqa: F811
) -> None:
    mailbox.stop()
    for _ in range(5):
        end(service, submit(service))
    send_due(notifier)
    assert [row.tries for row in deliveries(service, kind="email")] == [1, 0, 0, 0, 0]
    mailbox.start()
    send_due(notifier)
    assert mailbox.accepted == [], "it is left alone for a moment"
    clock.now += 1
    send_due(notifier)
    assert len(mailbox.accepted) == 5


def test_a_mail_is_sent_again_only_to_those_who_may_take_it_later(
    service: Service,
    notifier: Notifier,
    clock: Clock,
    mailbox: Mailbox,  # noqa: F811
) -> None:
    mailbox.answers = {"full@example.org": "452 full", "none@example.org": "550 no such user"}
    end(service, submit(service, ["jane@example.org", "full@example.org", "none@example.org"]))
    send_due(notifier)
    (row,) = deliveries(service, kind="email")
    assert row.recipients == ["full@example.org", "none@example.org"]
    assert (row.state, row.history[0]["outcome"]) == ("waiting", "partly")
    mailbox.answers.pop("full@example.org")
    clock.now += 2
    send_due(notifier)
    (row,) = deliveries(service, kind="email")
    assert (row.state, row.recipients) == ("given_up", ["none@example.org"])
    assert [to for _, to, _ in mailbox.accepted] == [["jane@example.org"], ["full@example.org"]]
    assert len(mailbox.ids()) == 1, "it is the same mail"
    assert "no such user" in row.history[0]["detail"]


def test_a_mail_that_is_refused_for_its_content_is_given_up(
    service: Service,
    notifier: Notifier,
    clock: Clock,
    mailbox: Mailbox,  # noqa: F811
) -> None:
    mailbox.answers = {"DATA": "554 spam"}
    end(service, submit(service))
    send_due(notifier)
    assert [row.state for row in deliveries(service, kind="email")] == ["given_up"]
    mailbox.answers = {"DATA": "451 later"}
    end(service, submit(service))
    send_due(notifier)
    assert deliveries(service, kind="email")[-1].state == "waiting"


def test_a_receiver_that_is_gone_for_good_or_was_taken_out_is_not_asked_again(
    service: Service,
    notifier: Notifier,
    clock: Clock,
    hooks: Hooks,  # noqa: F811
) -> None:
    submit(service, [])
    hooks.answers = [410]
    send_due(notifier)
    file = service.home.path / "config" / "instances" / "default.yaml"
    submit(service, [])
    file.write_text("profile: plain\n")
    send_due(notifier)
    assert [row.state for row in deliveries(service)] == ["given_up"] * 2
    assert "no webhook 'explorer' any more" in deliveries(service)[1].history[0]["detail"]
    assert len(hooks.received) == 1


def test_a_secret_that_is_not_there_is_waited_for(
    service: Service,
    notifier: Notifier,
    clock: Clock,
    hooks: Hooks,  # noqa: F811
    tmp_path: Path,
) -> None:
    submit(service, [])
    secret = tmp_path / "hook-secret"
    os.rename(secret, tmp_path / "hidden")
    send_due(notifier)
    (row,) = deliveries(service)
    assert (row.state, row.tries) == ("waiting", 1)
    assert "The secret of webhook explorer" in row.history[0]["detail"]
    os.rename(tmp_path / "hidden", secret)
    clock.now += 2
    send_due(notifier)
    assert len(hooks.received) == 1
