"""The clerk: the one thread of an attempt that talks to SLURM.

It submits at once, asks `squeue` once in an interval for all rule runs together, and the accounting
only for what has failed or is missing. How a rule run begins and ends it learns from the files of
the guards, which costs SLURM nothing. No answer is never taken for an end: while SLURM is away the
clerk waits, at most for the profile's patience where nothing runs. For a place in a cluster that is
full, or closed for a while, it waits as long as that takes.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from runner.slurm import commands, judge, submission
from runner.slurm.outage import Outage
from runner.slurm.rule_run import RuleRun
from runner.slurm.telling import Teller

_FIRST_LOOK = 2.0  # seconds after a submission, if it has not begun by then
_HURRY = (0.3, 1.0, 2.0, 4.0, 8.0)  # seconds after a failure: SLURM's word for it comes a bit later
_HURRIES = 5  # so many of these in an interval at most, of all rule runs together
_ROUND = 0.2


@dataclass(frozen=True)
class Manners:
    """How an attempt deals with the cluster.

    Attributes
    ----------
    interval : float
        Seconds between questions.
    patience : float
        Seconds for which SLURM may be away, or refuse for a reason that nobody knows.
    hopeless : float
        Seconds after which a reason to wait that never goes away is an error.
    resubmissions : int
        How often a rule run is submitted again that has lost its node.
    overhead_mb : int
        Memory in MB that Snakemake and the guard need on a node.
    """

    interval: float = 10.0
    patience: float = 600.0
    hopeless: float = 120.0
    resubmissions: int = 2
    overhead_mb: int = 300


class Clerk:
    """Submits the rule runs of an attempt and finds out what becomes of them.

    Parameters
    ----------
    run : str
        Name of all SLURM jobs of the attempt.
    python : str
        Interpreter on the nodes.
    directory : Path
        The job directory.
    manners : Manners
        How to deal with the cluster.
    teller : Teller
        Is told what happens.
    """

    def __init__(
        self, run: str, python: str, directory: Path, manners: Manners, teller: Teller
    ) -> None:
        self.run, self.python, self.directory = run, python, directory
        self.manners, self.teller = manners, teller
        self.broken: Exception | None = None
        self._outage = Outage(manners.patience, teller)
        self._known: list[RuleRun] = []
        self._latest: dict[str, RuleRun] = {}  # by comment; also those that have ended
        self._to_submit: deque[RuleRun] = deque()
        self._unsure: list[RuleRun] = []  # perhaps submitted: the answer got lost
        self._submit_at = 0.0
        self._asked_at = float("-inf")
        self._submitted_at = float("-inf")
        self._hurried: deque[float] = deque(maxlen=_HURRIES)  # questions before their time
        self._cancelled: set[str] = set()
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="slurm", daemon=True)
        self._thread.start()

    def add(self, rule_run: RuleRun) -> None:
        """Take a rule run over; it is submitted at once, by the clerk's thread."""
        with self._lock:
            self._known.append(rule_run)
            self._latest[rule_run.comment] = rule_run
            self._to_submit.append(rule_run)
        self._wake.set()

    def stop(self, timeout: float = 5.0) -> None:
        """Submit and ask nothing more; a question that is under way is waited for a little."""
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout)

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                self._round()
            except Exception as error:  # told by whoever waits for the rule runs
                self.broken = error
                return
            self._wake.wait(_ROUND)
            self._wake.clear()

    def _round(self) -> None:
        with self._lock:
            self._known = [r for r in self._known if r.look() is None]
            active = list(self._known)
        if not self._outage.is_on:
            self._submit_all()
        if active and time.monotonic() >= self._next_question(active):
            self._ask(active)
        self._outage.apply(active)
        self.teller.stages(r for r in active if r.outcome is None)

    # submitting

    def _submit_all(self) -> None:
        while self._to_submit and not self._stop.is_set() and not self._outage.is_on:
            if time.monotonic() < self._submit_at:
                return
            with self._lock:
                rule_run = self._to_submit.popleft()
            if rule_run.outcome is None and not self._submit(rule_run):
                return

    def _submit(self, rule_run: RuleRun) -> bool:
        """Submit a rule run; tell whether SLURM takes more."""
        if not rule_run.ready and not rule_run.next_submission():
            return True
        answer = commands.submit(
            submission.arguments(
                rule_run.request,
                run=self.run,
                comment=_comment(rule_run),
                log=rule_run.log,
                directory=self.directory,
                avoid=rule_run.avoid,
            ),
            submission.script(self.python, rule_run.folder, rule_run.submission, rule_run.command),
        )
        if answer.kind == "ok":
            if self._submitted_at <= self._asked_at:  # the first that was not asked about yet
                self._submitted_at = time.monotonic()
            rule_run.submitted(answer.text)
            self._outage.over()
            return True
        if answer.kind == "away":
            self._away(rule_run, answer)
            return False
        return self._is_refused(rule_run, answer.said)

    def _away(self, rule_run: RuleRun, answer: commands.Answer) -> None:
        if answer.unsure:
            rule_run.ready = False
            self._unsure.append(rule_run)
        else:
            self._to_submit.appendleft(rule_run)
        self._outage.begin(answer.said)

    def _is_refused(self, rule_run: RuleRun, said: str) -> bool:
        """Decide whether a refusal is final, and else when to try again."""
        meaning = submission.refusal(said)
        if meaning.kind == "never":
            if again := judge.on_all_nodes(rule_run):
                self.teller.note(again)
                self._to_submit.appendleft(rule_run)
            else:
                rule_run.fail(judge.refused(rule_run, said, meaning.advice))
            return True
        refused_for = rule_run.is_refused(said, meaning.kind)
        # a cluster that is full, or closed for a while, is waited for as long as it takes
        if meaning.kind == "unknown" and refused_for > self.manners.patience:
            rule_run.fail(judge.not_taken(rule_run, said, self.manners.patience))
            return True
        self._submit_at = time.monotonic() + min(self.manners.interval, 1 + refused_for / 2)
        self._to_submit.append(rule_run)  # others may be luckier
        return False

    # asking

    def _next_question(self, active: list[RuleRun]) -> float:
        """Give the moment of the next question: once an interval, sooner after a failure."""
        if self._outage.is_on:
            return self._outage.ask_again_at
        if not self._unsure and not any(r.slurm_job for r in active):
            return float("inf")
        interval = self.manners.interval
        first = interval if all(r.began for r in active) else min(_FIRST_LOOK, interval)
        due = max(self._asked_at + interval, self._submitted_at + first)
        sooner = min(filter(None, (self._hurry(r) for r in active)), default=due)
        if len(self._hurried) == _HURRIES:
            sooner = max(sooner, self._hurried[0] + interval)
        return min(due, sooner)

    def _hurry(self, rule_run: RuleRun) -> float | None:
        """Give when to ask about a rule run that has just failed; a few times only."""
        if not rule_run.ended or not rule_run.slurm_job:
            return None
        if rule_run.hurries is None:
            rule_run.hurries = [time.monotonic() + later for later in _HURRY]
        rule_run.hurries = [moment for moment in rule_run.hurries if moment > self._asked_at]
        return max(rule_run.hurries[0], self._asked_at + _HURRY[0]) if rule_run.hurries else None

    def _ask(self, active: list[RuleRun]) -> None:
        moment = time.monotonic()
        if not self._outage.is_on and moment < self._asked_at + self.manners.interval:
            self._hurried.append(moment)
        self._asked_at = moment
        answer, rows = commands.queue(self.run)
        if answer.kind != "ok":
            self._outage.begin(answer.said)
            return
        self._outage.over()
        if self._unsure:
            self._make_sure(rows)
        ended = []
        for rule_run in active:
            if rule_run.slurm_job and rule_run.look() is None:
                row = _row(rule_run, rows)
                if judge.goes_on(rule_run, row, self.manners.hopeless):
                    continue
                if rule_run.look(at_once=True) is None:  # the list is newer than the last look
                    ended.append((rule_run, row))
        self._conclude(ended)
        self._clear(rows)

    def _make_sure(self, rows: list[commands.Row]) -> None:
        """Find out what became of submissions whose answer got lost; none is made twice.

        SLURM may take such a submission later still: the fence has moved on then, and its guard
        does nothing.
        """
        for rule_run in self._unsure:
            found = next((row for row in rows if row.comment == _comment(rule_run)), None)
            if found:
                rule_run.submitted(found.id)
            else:
                self._to_submit.append(rule_run)
        self._unsure = []

    def _conclude(self, ended: list[tuple[RuleRun, commands.Row | None]]) -> None:
        if not ended:
            return
        found = judge.accounts([r.slurm_job for r, _ in ended if r.slurm_job])
        for rule_run, row in ended:
            again = judge.conclude(
                rule_run, row, found.get(rule_run.slurm_job or ""), self.manners.resubmissions
            )
            if again:
                self.teller.note(again)
                self._to_submit.append(rule_run)

    def _clear(self, rows: list[commands.Row]) -> None:
        """Take out of SLURM what no longer counts: earlier submissions, and what was given up."""
        left = {row.id for row in rows if row.state in judge.NOT_OVER and self._is_void(row)}
        left -= self._cancelled
        if left and commands.cancel(*sorted(left)).kind == "ok":
            self._cancelled |= left

    def _is_void(self, row: commands.Row) -> bool:
        comment, _, number = row.comment.rpartition(".")
        rule_run = self._latest.get(comment)
        if rule_run is None or not number.isdigit():
            return False
        return int(number) < rule_run.submission or rule_run.outcome == "failed"


def _comment(rule_run: RuleRun) -> str:
    return f"{rule_run.comment}.{rule_run.submission}"


def _row(rule_run: RuleRun, rows: list[commands.Row]) -> commands.Row | None:
    return next((row for row in rows if row.id == rule_run.slurm_job), None)
