"""What happens on SLURM, told to a job's events and to Snakemake's log."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from runner.slurm.rule_run import RuleRun


class Teller:
    """Writes events; a failure to write never stops the job.

    A rule may have many rule runs: its stage runs as long as one of them does, and waits if none.

    Parameters
    ----------
    events : Path or None
        The file ``events.jsonl``; None: nothing is written.
    attempt : int or None
        Number of the attempt.
    stages : iterable of str
        Rules that are stages; of others nothing is written.
    say : callable
        Gets each line for people.
    """

    def __init__(
        self,
        events: Path | None,
        attempt: int | None,
        stages: Iterable[str],
        say: Callable[[str], object],
    ) -> None:
        from runner.events import EventLog

        self._log = EventLog(events) if events else None
        self._attempt = attempt
        self._stages = set(stages)
        self._say = say
        self._last: dict[str, tuple[str, str | None, str | None]] = {}
        self.broken = False

    def note(self, message: str) -> None:
        """Tell something about the cluster."""
        self._say(message)
        self._write("note", message=message)

    def stages(self, rule_runs: Iterable[RuleRun]) -> None:
        """Tell where the stages of these rule runs stand, if that has changed.

        Parameters
        ----------
        rule_runs : iterable of RuleRun
            All that have not ended.
        """
        by_rule: dict[str, list[RuleRun]] = {}
        for rule_run in rule_runs:
            by_rule.setdefault(rule_run.rule, []).append(rule_run)
        for gone in set(self._last) - set(by_rule):
            del self._last[gone]
        for rule, found in by_rule.items():
            self._stage(rule, found)

    def _stage(self, rule: str, rule_runs: list[RuleRun]) -> None:
        last = self._last.get(rule)
        running = [r for r in rule_runs if r.began and not r.waits_for]
        if running:
            names = [_node(r) for r in running]
            if last and last[0] == "running" and last[1:] in names:
                return
            now: tuple[str, str | None, str | None] = ("running", *names[0])
            told: dict[str, Any] = {"node": now[1]}
        else:
            waiting = [r for r in rule_runs if r.waits_for]
            if not waiting:
                return
            # many may wait, each for another reason: the first is told of, so that it does not flap
            now = ("waiting", waiting[0].waits_for, waiting[0].slurm_job)
            told = {"reason": now[1]}
            if now != last:
                self._say(f"{rule}: {now[1]}")
        if now != last:
            self._last[rule] = now
            if rule in self._stages:
                slurm_job = int(now[2]) if now[2] else None
                self._write("stage", stage=rule, status=now[0], slurm_job=slurm_job, **told)

    def _write(self, kind: str, **data: Any) -> None:
        if self._log is None:
            return
        try:
            self._log.append(kind, source="slurm", attempt=self._attempt, **data)
        except OSError as error:
            if not self.broken:
                self._say(f"events are not written: {error}")
            self.broken = True


def _node(rule_run: RuleRun) -> tuple[str, str | None]:
    assert rule_run.began is not None
    return str(rule_run.began["host"]), rule_run.slurm_job
