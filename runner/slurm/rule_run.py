"""A rule run on SLURM, from its first submission to its end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.files import now, write_json
from runner.slurm import failure, fence
from runner.slurm.commands import Account
from runner.slurm.failure import Case
from runner.slurm.submission import Request

_SOONEST, _LATEST = 0.1, 1.0  # seconds between looks at the files of a rule run
COMMAND = "command.sh"


@dataclass
class RuleRun:
    """What is known of a rule run; `lock` guards what decides about its end.

    Attributes
    ----------
    request : Request
        What it asks for.
    folder : Path
        Its own folder, which nodes see as well.
    comment : str
        How its submissions are called in SLURM, before their number.
    submission : int
        The submission that counts; 0 before the first.
    slurm_job : str or None
        Its SLURM job, once that is known.
    avoid : set of str
        Nodes that failed it.
    began, ended : mapping or None
        What the guard wrote down.
    outcome : {"succeeded", "failed"} or None
        None while it goes on.
    error : mapping or None
        Of a failure that is SLURM's to tell; None: the rule's own.
    """

    request: Request
    folder: Path
    logs: Path
    comment: str
    lock: threading.Lock = field(default_factory=threading.Lock)
    submission: int = 0
    resubmissions: int = 0
    slurm_job: str | None = None
    avoid: set[str] = field(default_factory=set)
    began: Mapping[str, Any] | None = None
    ended: Mapping[str, Any] | None = None
    outcome: str | None = None
    error: Mapping[str, Any] | None = None
    waits_for: str | None = None
    ready: bool = False  # its number is raised, and was not yet used
    refused_since: float | None = None
    refused_text: str | None = None
    refused_by: str | None = None  # the kind of refusal
    hopeless_since: float | None = None
    missing_since: float | None = None
    hurries: list[float] | None = None  # when to ask about it sooner than usual: it has failed
    _due: float = 0.0
    _changed: float = field(default_factory=time.monotonic)

    @property
    def rule(self) -> str:
        """The Snakemake rule."""
        return self.request.rule

    @property
    def command(self) -> Path:
        """The shell script that it runs."""
        return self.folder / COMMAND

    @property
    def log(self) -> Path:
        """SLURM's log of it; ``%j`` in the name until the id of the job is known."""
        return self.logs / f"{self.rule}.{self.slurm_job or '%j'}.log"

    def begin(self, command: str) -> None:
        """Make its folder, with what it is to do."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / failure.FILE).unlink(missing_ok=True)  # of an earlier try
        self.command.write_text(f"exec {command}\n", encoding="utf-8")

    def next_submission(self) -> bool:
        """Let a further submission count; False if that is not wanted because it has succeeded."""
        with self.lock:
            self._read()
            if self.outcome is not None or (self.ended and self.ended["exit"] == 0):
                return False
            self.submission, self.slurm_job = self.submission + 1, None
            self.began = self.ended = self.hurries = None
            fence.raise_to(self.folder, self.submission)
            self.ready = True
        self.waits_for = None
        return True

    def submitted(self, slurm_job: str) -> None:
        """Note down the SLURM job that it has now."""
        self.slurm_job, self.ready, self.waits_for = slurm_job, False, None
        self.refused_since = self.refused_text = self.refused_by = None
        text = {"submission": self.submission, "slurm_job": slurm_job, "time": now()}
        with (self.folder / "submissions.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(text) + "\n")

    def look(self, *, at_once: bool = False) -> str | None:
        """Read what the guard wrote down, a few times a second; give the outcome if there is one.

        What has run for minutes is looked at once a second: a shared file system serves others too.
        """
        if self.outcome is None and (at_once or time.monotonic() >= self._due):
            with self.lock:
                self._read()
                if self.ended and self.ended["exit"] == 0:
                    self.outcome = self.outcome or "succeeded"
            age = time.monotonic() - self._changed
            self._due = time.monotonic() + min(max(_SOONEST, age / 50), _LATEST)
        return self.outcome

    def _read(self) -> None:
        if self.submission == 0:
            return
        try:
            began = fence.started(self.folder, self.submission)
            ended = fence.ended(self.folder, self.submission)
        except OSError:  # a file server that is away for a moment
            return
        if began != self.began:
            self.waits_for = None
        if (began, ended) != (self.began, self.ended):
            self._changed = time.monotonic()
        self.began, self.ended = began, ended

    def fail(self, error: Mapping[str, Any] | None = None) -> None:
        """End it as failed, so that nothing of it can begin any more; with SLURM's word for it."""
        with self.lock:
            self._read()
            if self.ended and self.ended["exit"] == 0:
                self.outcome = self.outcome or "succeeded"
            if self.outcome is not None:
                return
            if self.submission:
                fence.stop(self.folder)
            if error is not None:
                write_json(self.folder / failure.FILE, error)
            self.error, self.outcome = error, "failed"

    def waits_because(self, reason: str | None) -> None:
        """Note down why it waits; None if it does not."""
        self.waits_for = reason

    def is_refused(self, said: str, kind: str) -> float:
        """Note down that SLURM did not take it; give for how many seconds it has not, by that."""
        if self.refused_since is None or kind != self.refused_by:
            self.refused_since, self.refused_text = time.monotonic(), now()
        self.refused_by = kind
        self.waits_for = f"SLURM does not take it now, it is tried again: {said}"
        return time.monotonic() - self.refused_since

    def is_alive(self) -> bool:
        """Tell whether its guard lives, on whatever node."""
        try:
            return self.submission > 0 and fence.is_held(self.folder)
        except OSError:  # a file system without locks cannot tell
            return False

    def case(self, account: Account | None = None, nodes: str = "") -> Case:
        """Put together what is known of it, for an error object."""
        from runner import limits

        node = nodes or (str(self.began["host"]) if self.began else None)
        used = limits.used(self.folder.parent.parent, self.rule)
        end = failure.end_of(self.log)
        return Case(self.request, self.slurm_job, node, end, account, used)
