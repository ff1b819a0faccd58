"""Models of what the API says of notices."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from webapp.api.schemas import In, Moment, Out
from webapp.models import Delivery

State = Literal["waiting", "delivered", "given_up"]
LARGEST_ID = 2**31 - 1


class DeliveriesOfJobIn(In):
    """Which notices about a job."""

    before: Annotated[int, Field(ge=1, le=LARGEST_ID)] | None = Field(
        default=None, description="`next` of the page before: older ones than this."
    )
    limit: Annotated[int, Field(ge=1, le=500)] = Field(
        default=100, description="Notices on a page."
    )


class DeliveriesIn(DeliveriesOfJobIn):
    """Which notices."""

    state: State | None = Field(default=None, description="In this state.")


class TryOut(Out):
    """What became of a try."""

    time: Moment
    outcome: str = Field(
        description="accepted; partly (by some of the recipients); refused (for good); failed; "
        "given_up; asked (by an operator, to try again)."
    )
    detail: str | None = Field(description="What was said. Null for who may not see addresses.")


class DeliveryOut(Out):
    """A notice and what became of it."""

    id: int
    key: str = Field(description="Message-ID, `webhook-id` and id of the CloudEvent.")
    kind: Literal["email", "webhook"]
    target: str = Field(description="Name of the webhook; `email`.")
    instance: str | None
    job_id: str | None
    event: str = Field(description="What it tells.", examples=["job.succeeded"])
    state: State
    recipients: list[str] | None = Field(
        description="Those that have not accepted it. Null for who may not see addresses."
    )
    tries: int
    history: list[TryOut]
    created: Moment
    next_try: Moment | None = Field(description="Null if there is none.")
    expires: Moment = Field(description="Until when it is tried.")
    finished: Moment | None

    @classmethod
    def of(cls, row: Delivery, *, addresses: bool) -> DeliveryOut:
        """Make it of a row; `addresses`: whether they may be seen."""
        taken: dict[str, Any] = {name: getattr(row, name) for name in cls.model_fields}
        taken["next_try"] = row.next_try if row.state == "waiting" else None
        if not addresses:
            taken["recipients"] = None
            taken["history"] = [{**entry, "detail": None} for entry in row.history]
        return cls(**taken)


class DeliveriesOut(Out):
    """A page of notices, newest first."""

    items: list[DeliveryOut]
    next: int | None = Field(description="`before` of the next page; null: this is the last.")
