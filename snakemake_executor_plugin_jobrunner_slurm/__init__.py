"""Snakemake executor plugin: has rules run on a SLURM cluster.

Snakemake finds it by its package name. What it does stands in `runner.slurm`, which is imported
when an executor is made: every start of Snakemake imports this file, on each node too.
"""

# No `from __future__ import annotations`: Snakemake builds its options from the settings' types.
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface
from snakemake_interface_executor_plugins.settings import CommonSettings, ExecutorSettingsBase

if TYPE_CHECKING:
    from runner.slurm.rule_run import RuleRun

_CANCEL = 12.0  # seconds; whoever interrupts Snakemake waits for a little longer

common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    pass_envvar_declarations_to_cmd=False,  # SLURM passes the environment on
    auto_deploy_default_storage_provider=False,
)


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """Settings, given as ``--jobrunner-slurm-…``."""

    run: Optional[str] = field(  # noqa: UP045 - the form that Snakemake reads
        default=None, metadata={"help": "Name of all SLURM jobs of this run; by default a new one."}
    )
    folder: Optional[Path] = field(  # noqa: UP045
        default=None,
        metadata={"help": "Where each rule run gets a folder; by default below .snakemake."},
    )
    events: Optional[Path] = field(  # noqa: UP045
        default=None, metadata={"help": "Absolute path of events.jsonl; none: write no events."}
    )
    attempt: Optional[int] = field(  # noqa: UP045
        default=None, metadata={"help": "Number of the attempt."}
    )
    stages: Optional[str] = field(  # noqa: UP045
        default=None, metadata={"help": "Rules that are stages, separated by commas."}
    )
    interval: float = field(default=10.0, metadata={"help": "Seconds between questions to SLURM."})
    patience: float = field(
        default=600.0,
        metadata={"help": "Seconds for which SLURM may be away, or refuse without a known reason."},
    )
    hopeless: float = field(
        default=120.0,
        metadata={"help": "Seconds after which a reason to wait that never goes away is an error."},
    )
    resubmissions: int = field(
        default=2, metadata={"help": "How often a rule run is submitted again that lost its node."}
    )
    overhead: int = field(
        default=300, metadata={"help": "Memory in MB for Snakemake itself on a node."}
    )


class Executor(RemoteExecutor):
    """Hands rule runs to the clerk (`runner.slurm.clerk`) and their ends to Snakemake."""

    next_seconds_between_status_checks = 0.1  # of looks at files; SLURM is asked by the clerk

    def __post_init__(self) -> None:
        """Start the clerk."""
        from secrets import token_hex

        from runner.slurm.clerk import Clerk, Manners
        from runner.slurm.telling import Teller

        given = self.executor_settings
        assert isinstance(given, ExecutorSettings)
        self.run = given.run or f"jobrunner-{Path.cwd().name}-{token_hex(4)}"
        default = Path(".snakemake", "jobrunner-slurm", self.run)
        self.folder = Path(given.folder or default).absolute()
        self.manners = Manners(
            given.interval, given.patience, given.hopeless, given.resubmissions, given.overhead
        )
        stages = filter(None, (given.stages or "").split(","))
        events = Path(given.events) if given.events else None
        teller = Teller(events, given.attempt, stages, self.logger.info)
        self.clerk = Clerk(self.run, self.get_python_executable(), Path.cwd(), self.manners, teller)
        self.latest: dict[str, RuleRun] = {}

    def additional_general_args(self) -> str:
        """Have the rule itself run by Snakemake's local executor on the node."""
        return "--executor local --quiet progress rules host"

    def run_job(self, job: JobExecutorInterface) -> None:
        """Hand a rule run to the clerk; it is submitted at once, but Snakemake need not wait."""
        from runner.slurm.rule_run import RuleRun
        from runner.slurm.submission import Request

        rule = str(job.name)
        resources = dict(job.resources.items())
        request = Request.of(rule, job.threads, resources, self.manners.overhead_mb)
        name = f"{rule}.{job.jobid}"
        logs = Path.cwd() / "logs" / "slurm"
        logs.mkdir(parents=True, exist_ok=True)
        rule_run = RuleRun(request, self.folder / name, logs, name)
        if earlier := self.latest.get(name):  # Snakemake tries a rule that failed again
            rule_run.submission = earlier.submission
        self.latest[name] = rule_run
        rule_run.begin(self.format_job_exec(job))
        self.report_job_submission(SubmittedJobInfo(job, aux={"rule_run": rule_run}))
        self.clerk.add(rule_run)

    async def check_active_jobs(
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncGenerator[SubmittedJobInfo, None]:
        """Tell Snakemake of the ends of rule runs; a few times a second."""
        for info in active_jobs:
            if self.clerk.broken:
                raise self.clerk.broken
            rule_run: RuleRun = (info.aux or {})["rule_run"]
            outcome = rule_run.look()
            info.external_jobid = rule_run.slurm_job
            if outcome == "succeeded":
                self.report_job_success(info)
            elif outcome == "failed":
                text = f"{rule_run.error['message']} " if rule_run.error else ""
                self.report_job_error(info, msg=text, aux_logs=[str(rule_run.log)])
            else:
                yield info

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        """Take all of the run out of SLURM, also what may just be on its way there."""
        from runner.slurm import cancel

        self.clerk.stop()
        if not cancel.gone(self.run, self.folder, _CANCEL):
            self.logger.warning(f"Not everything of {self.run} is proven to be gone from SLURM.")

    def shutdown(self) -> None:
        """End both threads."""
        self.clerk.stop()
        super().shutdown()
