"""Snakemake logger plugin: writes what happens to a job's ``events.jsonl``.

Snakemake finds it by its package name. Without ``--logger jobrunner`` it does nothing.
"""

# No `from __future__ import annotations`: Snakemake builds its options from the settings' types.
import logging
import os
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Optional

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Settings, given as ``--logger-jobrunner-…``."""

    events: Optional[Path] = field(  # noqa: UP045 - the form that Snakemake reads
        default=None, metadata={"help": "Absolute path of events.jsonl; none: write nothing."}
    )
    attempt: Optional[int] = field(  # noqa: UP045
        default=None, metadata={"help": "Number of the attempt."}
    )
    stages: Optional[str] = field(  # noqa: UP045
        default=None, metadata={"help": "Rules that are stages, separated by commas."}
    )
    remote: bool = field(
        default=False,
        metadata={"help": "A cluster runs the rules that are not local; its executor says when."},
    )


class LogHandler(LogHandlerBase):
    """Turns Snakemake's log records into events; a failure to write never stops Snakemake."""

    def __post_init__(self) -> None:
        """Open nothing yet: the handler runs in a thread of its own."""
        from runner.events import EventLog
        from runner.sub_job_log import SubJobLogs

        settings = self.settings
        assert isinstance(settings, LogHandlerSettings)
        self.log = EventLog(Path(settings.events)) if settings.events else None
        self.parts = SubJobLogs(Path(settings.events).parent if settings.events else Path())
        self.stages = set(filter(None, (settings.stages or "").split(",")))
        self.rules: dict[int, str] = {}
        self.expected: Counter[str] = Counter()
        self.finished: Counter[str] = Counter()
        self.broken = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write the event that `record` stands for, if it is one."""
        event = getattr(record, "event", None)
        handler = getattr(self, f"_on_{getattr(event, 'value', event)}", None)
        if self.log is None or handler is None:
            return
        try:
            handler(record.__dict__)
        except Exception as error:
            if not self.broken:
                print(f"jobrunner: events are not written: {error!r}", file=sys.stderr)
            self.broken = True

    def _write(self, record: dict[str, Any], kind: str, **data: Any) -> None:
        assert self.log is not None
        assert isinstance(self.settings, LogHandlerSettings)
        attempt = self.settings.attempt
        self.log.append(kind, source="snakemake", attempt=attempt, time=_time(record), **data)

    def _on_run_info(self, record: dict[str, Any]) -> None:
        counts = dict(record.get("stats") or {})
        total = counts.pop("total", None)
        self.expected = Counter(counts)
        stages = {rule: n for rule, n in counts.items() if rule in self.stages}
        self._write(record, "progress", done=0, total=total, stages=stages)

    def _on_job_info(self, record: dict[str, Any]) -> None:
        rule = record["rule_name"]
        self.rules[record["jobid"]] = rule
        logs = [str(log) for log in record.get("log") or ()]
        self.parts.started(record["jobid"], logs, f"[{_time(record)}] {rule} started")
        if rule in self.stages:
            assert isinstance(self.settings, LogHandlerSettings)
            waits = self.settings.remote and not record.get("local")
            reason = "handed to SLURM" if waits else str(record.get("reason") or "") or None
            status = "waiting" if waits else "running"
            self._write(record, "stage", stage=rule, status=status, reason=reason)

    def _on_job_finished(self, record: dict[str, Any]) -> None:
        rule = self.rules.get(record["job_id"], "")
        self.finished[rule] += 1
        self.parts.ended(record["job_id"], f"[{_time(record)}] {rule} finished")
        if rule in self.stages and self.finished[rule] >= self.expected[rule]:
            self._write(record, "stage", stage=rule, status="succeeded", used=self._used(rule))

    def _on_job_error(self, record: dict[str, Any]) -> None:
        rule = self.rules.get(record["jobid"], "")
        self.parts.ended(record["jobid"], f"[{_time(record)}] {rule} failed")
        if rule in self.stages:
            self._write(record, "stage", stage=rule, status="failed", used=self._used(rule))

    def _used(self, rule: str) -> Optional[dict[str, Any]]:  # noqa: UP045
        """Give what the runs of a rule used, as the stage shell noted it down."""
        from runner import limits

        assert isinstance(self.settings, LogHandlerSettings)
        attempt, events = self.settings.attempt, self.settings.events
        if attempt is None or events is None:
            return None
        return limits.used(Path(events).parent / "attempts" / str(attempt), rule)

    def _on_None(self, record: dict[str, Any]) -> None:  # records that are no event
        message = str(record.get("msg") or "")
        if message.startswith("Creating conda environment"):
            path = Path(message.split(" ", 3)[3].rstrip("."))
            # a processing repository's is called environment.yaml, in a folder that says whose
            name = path.parent.name if path.stem == "environment" else path.stem
            self._write(record, "note", message=f"Building the environment of {name}")

    def _on_progress(self, record: dict[str, Any]) -> None:
        self._write(record, "progress", done=record["done"], total=record["total"])

    def _on_error(self, record: dict[str, Any]) -> None:
        from runner.redact import mask, secrets_in

        name, text = record.get("exception"), str(record.get("msg") or "")
        text = mask(text.encode(), secrets_in(os.environ)).decode()
        self._write(record, "log", level="error", name=name, message=text)

    @property
    def writes_to_stream(self) -> bool:
        """Whether it takes the place of Snakemake's own output: no."""
        return False

    @property
    def writes_to_file(self) -> bool:
        """Whether Snakemake should announce a log file of it: no."""
        return False

    @property
    def has_filter(self) -> bool:
        """Whether it gets every record, however quiet Snakemake is: yes."""
        return True

    @property
    def has_formatter(self) -> bool:
        """Whether it formats for itself: yes."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """Whether it wants the rule graph: no."""
        return False


def _time(record: dict[str, Any]) -> str:
    time = datetime.fromtimestamp(record["created"], UTC).isoformat(timespec="milliseconds")
    return time.replace("+00:00", "Z")
