"""What became of a try to deliver something, and what follows from it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from webapp.models import Delivery

_FIRST_WAIT = 1.0  # seconds
_LONGEST_WAIT = 900.0
_LONGEST_DETAIL = 500


@dataclass(frozen=True)
class Outcome:
    """What a receiver, or the way to it, said.

    Attributes
    ----------
    detail : str
        For a person; never with a secret in it.
    accepted : tuple of str
        The recipients (of a webhook: its name) that have it now.
    refused : mapping of str to str
        Recipients that will never take it, with what was said.
    away : bool
        It is not about this notice: the destination cannot be worked with now.
    wait : float
        Seconds for which the destination asked not to be asked again.
    """

    detail: str
    accepted: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    away: bool = False
    wait: float = 0.0


def backoff(failures: int, chance: Callable[[], float] = random.random) -> float:
    """Give the seconds to wait after a number of failures: doubled each time, half of it random.

    Parameters
    ----------
    failures : int
        At least 1.
    chance : callable
        Gives numbers from 0 to 1.
    """
    whole = min(_FIRST_WAIT * 2.0 ** min(failures - 1, 20), _LONGEST_WAIT)
    return whole * (0.5 + chance() / 2)


def settle(delivery: Delivery, outcome: Outcome, time: str) -> bool:
    """Take down a try in its row; tell whether it is to be tried again.

    What is refused for good stays among the recipients of what is given up, for whoever looks, and
    for whoever has it tried again.
    """
    delivery.tries += 1
    delivery.history = [*delivery.history, _entry(delivery, outcome, time)]
    delivery.recipients = [to for to in delivery.recipients if to not in outcome.accepted]
    if outcome.refused:
        known = delivery.data.get("refused") or {}
        delivery.data = {**delivery.data, "refused": {**known, **outcome.refused}}
    if not delivery.recipients:
        finish(delivery, "delivered", time)
    elif not open_recipients(delivery):
        finish(delivery, "given_up", time)
    return delivery.state == "waiting"


def open_recipients(delivery: Delivery) -> list[str]:
    """Give those that have neither taken it nor refused it for good."""
    refused = delivery.data.get("refused") or {}
    return [to for to in delivery.recipients if to not in refused]


def finish(delivery: Delivery, state: str, time: str) -> None:
    """End a delivery."""
    delivery.state, delivery.finished = state, time


def give_up(delivery: Delivery, time: str) -> None:
    """End a delivery whose time is over."""
    last = delivery.history[-1]["detail"] if delivery.history else "it was never its turn"
    entry = {"time": time, "outcome": "given_up", "detail": f"Its time is over. Last: {last}"}
    delivery.history = [*delivery.history, entry]
    finish(delivery, "given_up", time)


def _entry(delivery: Delivery, outcome: Outcome, time: str) -> dict[str, str]:
    if outcome.accepted:
        word = "accepted" if set(outcome.accepted) >= set(delivery.recipients) else "partly"
    else:
        word = "refused" if outcome.refused else "failed"
    return {"time": time, "outcome": word, "detail": outcome.detail[:_LONGEST_DETAIL]}
