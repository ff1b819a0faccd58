"""Notices: what was sent to whom, what waits, what was given up."""

from __future__ import annotations

import logging

from apiflask import APIBlueprint
from sqlalchemy import Select, select

from runner.errors import NotFound
from webapp.api import auth
from webapp.api.schemas_deliveries import (
    LARGEST_ID,
    DeliveriesIn,
    DeliveriesOfJobIn,
    DeliveriesOut,
    DeliveryOut,
)
from webapp.models import Delivery
from webapp.notify import rules, store

blueprint = APIBlueprint("deliveries", __name__)
_log = logging.getLogger(__name__)


@blueprint.get("/jobs/<job_id>/deliveries")
@blueprint.input(DeliveriesOfJobIn, location="query", arg_name="query")
@blueprint.output(DeliveriesOut)
def of_job(job_id: str, query: DeliveriesOfJobIn) -> DeliveriesOut:
    """List the notices about a job, newest first; of a sub-job those about the whole.

    Addresses, and what was said of them, are shown to the job's user and to operators.
    """
    job, asker = auth.readable(job_id), auth.identity()
    found = select(Delivery).where(Delivery.job_id == (job.parent or job.id))
    may_see = asker.user == job.user or asker.has_role("operator")
    return _page(found, query, addresses=may_see)


@blueprint.get("/deliveries")
@blueprint.input(DeliveriesIn, location="query", arg_name="query")
@blueprint.output(DeliveriesOut)
def list_deliveries(query: DeliveriesIn) -> DeliveriesOut:
    """List notices, newest first: mails, webhooks, and alerts for operators of all instances."""
    auth.require("operator")
    found = select(Delivery)
    if (visible := auth.visible_instances()) is not None:
        found = found.where(Delivery.instance.in_(visible))
    if query.state is not None:
        found = found.where(Delivery.state == query.state)
    return _page(found, query, addresses=True)


@blueprint.post("/deliveries/<int:delivery_id>/retry")
@blueprint.output(DeliveryOut)
@blueprint.doc(responses={409: "It has arrived already."})
def retry(delivery_id: int) -> DeliveryOut:
    """Try a notice again now, as if it were new; also one that was given up."""
    asker, service = auth.identity(), auth.service()
    with service.db.write() as session:
        row = None
        if delivery_id <= LARGEST_ID:
            row = session.get(Delivery, delivery_id, with_for_update=True)
        if row is None or (asker.instance is not None and row.instance != asker.instance):
            raise NotFound(f"There is no delivery {delivery_id}.")
        auth.require("operator")
        store.try_again(session, row, asker.user, service.settings.notice_hours)
    _log.info("delivery %s is tried again, by %s", row.id, asker.user)
    service.queue.publish(rules.CHANNEL)
    return DeliveryOut.of(row, addresses=True)


def _page(
    found: Select[tuple[Delivery]], query: DeliveriesOfJobIn, *, addresses: bool
) -> DeliveriesOut:
    if query.before is not None:
        found = found.where(Delivery.id < query.before)
    with auth.service().db.read() as session:
        rows = session.scalars(found.order_by(Delivery.id.desc()).limit(query.limit + 1)).all()
    shown = rows[: query.limit]
    return DeliveriesOut(
        items=[DeliveryOut.of(row, addresses=addresses) for row in shown],
        next=shown[-1].id if len(rows) > len(shown) else None,
    )
