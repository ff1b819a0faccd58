"""A composite job is told of once: by the whole, with a line for each of its sub-jobs."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import select

from tests.webapp.attempts import run
from tests.webapp.families import (
    PARTS,
    failed,
    family_service,  # noqa: F401
    succeeded,
)
from webapp.models import Delivery
from webapp.notify import mail, webhook
from webapp.service import Service

HOOKS = """
webhooks:
  - {name: explorer, url: "http://127.0.0.1:9/", secret: "file:key", events: ["job.*", "stage.*"]}
"""


def deliveries(service: Service, kind: str) -> list[Delivery]:
    with service.db.read() as session:
        query = select(Delivery).where(Delivery.kind == kind).order_by(Delivery.id)
        return list(session.scalars(query))


def hook(service: Service) -> None:
    file = service.home.path / "config" / "instances" / "default.yaml"
    file.write_text(file.read_text() + HOOKS)


def data(delivery: Delivery) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(webhook.cloud_event(delivery, "urn:x", "Pair"))["data"]
    return found


def test_there_is_one_mail_with_a_line_for_each_sub_job(service: Service) -> None:
    job_id = succeeded(service, notify=["jane@example.org"])
    [found] = deliveries(service, "email")
    assert (found.job_id, found.event) == (job_id, "job.succeeded")
    message = mail.compose(found, "runner@example.org", None, {"": "Pair"})
    text = message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "Sub-jobs\n" in text
    assert "  Left   succeeded: Words: 4\n" in text
    assert "  Toy    succeeded: Words: 5\n" in text
    html = message.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert "succeeded: Words: 4</td>" in html


def test_the_line_of_one_that_failed_is_the_first_of_its_error(service: Service) -> None:
    failed(service, notify=["jane@example.org"])
    [found] = deliveries(service, "email")
    text = mail.compose(found, "runner@example.org", None, {}).get_body(("plain",))
    lines = text.get_content().splitlines()  # type: ignore[union-attr]
    begin = lines.index("Sub-jobs")
    assert lines[begin + 1].split(maxsplit=1)[1].startswith("failed: Stage first failed.")
    assert lines[begin + 2].split() == ["Toy", "cancelled"]
    assert lines[begin + 3].split(maxsplit=1) == ["Apart", "succeeded: Words: 5"]


def test_webhooks_hear_of_the_whole_and_where_its_sub_jobs_stood_then(service: Service) -> None:
    hook(service)
    job_id = failed(service)
    found = deliveries(service, "webhook")
    assert {delivery.job_id for delivery in found} == {job_id}
    first, last = data(found[0]), data(found[-1])
    assert [part["status"] for part in first["sub_jobs"]] == ["queued"] * len(PARTS)
    assert [(p["id"], p["name"], p["type"], p["title"], p["status"]) for p in last["sub_jobs"]] == [
        (f"{job_id}.left", "left", "toy", "Left", "failed"),
        (f"{job_id}.right", "right", "toy", "Toy", "cancelled"),
        (f"{job_id}.apart", "apart", "toy", "Apart", "succeeded"),
    ]
    assert last["sub_jobs"][2]["line"] == "Words: 5"
    running = next(d for d in found if data(d)["event"].get("status") == "running")
    assert {part["status"] for part in data(running)["sub_jobs"]} == {"queued"}


def test_an_event_of_a_stage_names_the_sub_job_that_it_is_of(service: Service) -> None:
    hook(service)
    job_id = succeeded(service)
    events = [data(d)["event"] for d in deliveries(service, "webhook") if d.event[:5] == "stage"]
    found = {(event["stage"], event.get("sub_job")) for event in events}
    assert ("left_first", f"{job_id}.left") in found
    assert ("sum", None) in found


def test_a_job_without_sub_jobs_is_told_of_as_before(service: Service) -> None:
    hook(service)
    run(service, notify=["jane@example.org"])
    for found in (*deliveries(service, "webhook"), *deliveries(service, "email")):
        assert "sub_jobs" not in found.data
