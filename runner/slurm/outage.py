"""While SLURM gives no answer: what is tried, what is told, and what is given up when."""

from __future__ import annotations

import time
from collections.abc import Iterable

from runner.files import now
from runner.slurm import failure, judge
from runner.slurm.rule_run import RuleRun
from runner.slurm.telling import Teller

_LONGEST = 30.0  # seconds between questions
_UNEXPLAINED = 30.0  # seconds for which a failed rule run waits for SLURM's word


class Outage:
    """Whether SLURM is away, since when, and when to ask again.

    Parameters
    ----------
    patience : float
        Seconds after which what does not run is given up.
    teller : Teller
        Is told of the beginning and the end.
    """

    def __init__(self, patience: float, teller: Teller) -> None:
        self.patience, self.teller = patience, teller
        self.is_on = False
        self.ask_again_at = 0.0
        self._since, self._since_text, self._said, self._pause = 0.0, "", "", 1.0

    def begin(self, said: str) -> None:
        """Note down that there was no answer."""
        moment = time.monotonic()
        if not self.is_on:
            self.is_on, self._since, self._since_text, self._pause = True, moment, now(), 0.5
            self.teller.note(
                f"SLURM does not answer since {self._since_text} ({said}); the job waits, and goes "
                "on when it is back."
            )
        self._said, self._pause = said, min(2 * self._pause, _LONGEST)
        self.ask_again_at = moment + self._pause

    def over(self) -> None:
        """Note down that there was an answer."""
        if self.is_on:
            self.is_on = False
            took = time.monotonic() - self._since
            self.teller.note(f"SLURM answers again, after {took:.0f} s.")

    def apply(self, rule_runs: Iterable[RuleRun]) -> None:
        """Say of what waits that it does, and end what has waited for longer than the patience.

        What runs on a node goes on without the controller: it is never given up while its guard
        lives.
        """
        if not self.is_on:
            return
        away = time.monotonic() - self._since
        for rule_run in rule_runs:
            if rule_run.ended:
                if away > min(_UNEXPLAINED, self.patience):
                    judge.by_its_log(rule_run)
                continue
            if not rule_run.began:
                rule_run.waits_because(f"SLURM does not answer since {self._since_text}")
            if away > self.patience and not rule_run.is_alive():
                rule_run.fail(
                    failure.cluster_away(
                        rule_run.request, self._since_text, self._said, self.patience
                    )
                )
