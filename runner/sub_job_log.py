"""The log of a sub-job: what its stages say, one after another, from the first to the last attempt.

The log of a job is what its Snakemake prints. Sub-jobs share that Snakemake, so theirs is put
together from the logs of their rules, which Snakemake empties when a rule runs again.
"""

from __future__ import annotations

from pathlib import Path

from runner.jobdir import SUB_JOBS


class SubJobLogs:
    """Writes ``sub_jobs/<name>/logs/job.log`` as rules of sub-jobs run.

    Parameters
    ----------
    job : Path
        The job directory.
    """

    def __init__(self, job: Path) -> None:
        self.job = job
        self._logs: dict[int, Path] = {}

    def started(self, number: int, logs: list[str], line: str) -> None:
        """Note that rule run `number` has begun, if its log lies in the folder of a sub-job."""
        for log in map(Path, logs):
            if len(log.parts) > 2 and log.parts[0] == SUB_JOBS:
                self._logs[number] = log
                self._write(log, f"{line}\n")
                return

    def ended(self, number: int, line: str) -> None:
        """Add what the rule run has said, and how it ended."""
        if log := self._logs.pop(number, None):
            try:
                said = (self.job / log).read_text(encoding="utf-8", errors="replace")
            except OSError:
                said = ""
            said += "" if said.endswith("\n") or not said else "\n"
            self._write(log, f"{said}{line}\n")

    def _write(self, log: Path, text: str) -> None:
        path = self.job / log.parts[0] / log.parts[1] / "logs" / "job.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            stream.write(text)
