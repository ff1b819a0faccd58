"""A job with all that an attempt of it needs: release, profile, environments and limits."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from runner import environments, envmodules, redact, reference, resources
from runner.attempt import Attempt
from runner.execution import Execution
from runner.home import Home
from runner.jobdir import JobDirectory
from runner.jobtype import JobType
from runner.options import RunOptions
from runner.profile import DSN_VARIABLE, PUBLISH_VARIABLE, Profile
from runner.resources import Plan
from runner.standby import Standby

# Of the caller's environment these would change what a rule does.
_NOT_PASSED_ON = ("PYTHONPATH", "PYTHONHOME", DSN_VARIABLE, PUBLISH_VARIABLE)
# These have credentials of the service, which are nothing for a rule; others, to which a file of
# the configuration refers, likewise.
_SECRET = ("JOBRUNNER_MAIL", "JOBRUNNER_DATABASE_URL", "JOBRUNNER_REDIS_URL", "JOBRUNNER_TOKEN")
_CONFIGURED = ("instances", "profiles", "issuers")
# Releases and environments are compiled when they are made; a job must not write into them. (On a
# full disk it would leave byte code cut short, which stops every later job.)
_SET = {"PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(frozen=True)
class Prepared:
    """A job with all that an attempt of it needs."""

    job: JobDirectory
    job_type: JobType
    profile: Profile
    home: Home
    warnings: tuple[str, ...] = ()

    def start(self, options: RunOptions, standby: Standby | None = None) -> Attempt:
        """Start an attempt; limits come from the profile, else from the job type.

        Parameters
        ----------
        options : RunOptions
            What to run.
        standby : Standby, optional
            A process that waits to be its leader.

        Raises
        ------
        JobBusy
            If the directory is being worked in.
        InvalidConfiguration
            If the platform's address cannot be found.
        """
        credentials = self.profile.credentials()
        mode, prefix, variables = self.stage_environments()
        return Attempt.start(
            self.job,
            self.job_type,
            self._complete(options),
            self._execution(options, environments.deployment(mode, prefix)),
            environment={**variables, **credentials},
            creation=_creation(mode, prefix),
            secrets=redact.secrets_in(credentials),
            standby=standby,
        )

    def options(self, **given: Any) -> RunOptions:
        """Give run options with the default number of cores; checks the names of stages.

        Cores that are asked for have the bound of the profile. Where there are ``caps``, they were
        counted by a worker before: what the profile allows less by now is cut.

        Raises
        ------
        InvalidRequest
            If there is no stage of that name, or more cores are asked for than the profile allows.
        """
        part = given.get("sub_job")
        job_type = self.job_type.sub_job(part).type if part else self.job_type
        for name in filter(None, (given.get("until"), given.get("stage"))):
            job_type.stage(name)
        given["resources"] = self._of_whole(given.get("resources") or {}, part)
        plan = self.plan(given.get("caps"), given["resources"])
        if (cores := given.get("cores")) and "caps" not in given:
            resources.check(self.job_type, self.profile, {"cores": cores})
        cores = cores or plan.attempt.get("cores") or os.cpu_count() or 1
        given["cores"] = min(cores, self.profile.limits.get("cores", cores))
        return RunOptions(executor=self.profile.executor, **given)

    def check(
        self,
        asked: Mapping[str, Any],
        sub_job: str | None = None,
        caps: Mapping[str, Any] | None = None,
        whose: str = "The instance",
    ) -> None:
        """Check resources that are asked for of a further attempt.

        Raises
        ------
        InvalidRequest
            As `resources.check`.
        """
        job_type = self.job_type.sub_job(sub_job).type if sub_job else self.job_type
        resources.check(job_type, self.profile, asked, caps, whose)

    def plan(
        self, caps: Mapping[str, Any] | None = None, asked: Mapping[str, Any] | None = None
    ) -> Plan:
        """Give what an attempt and its stages may take.

        Parameters
        ----------
        caps : mapping, optional
            Bounds of the instance.
        asked : mapping, optional
            What was asked for of this attempt, beside what was asked for of the job.
        """
        both = resources.both(self.job.config.get("resources") or {}, asked or {})
        return resources.resolve(self.job_type, self.profile, both, caps)

    def _of_whole(self, asked: Mapping[str, Any], part: str | None) -> dict[str, Any]:
        """Give what was asked for with stages as the whole job calls them, not its sub-job."""
        if part is None or "stages" not in asked:
            return dict(asked)
        rule = self.job_type.sub_job(part).rule
        return {**asked, "stages": {rule(name): own for name, own in asked["stages"].items()}}

    def execution(self, options: RunOptions) -> Execution:
        """Give with which resources and environments the rules of an attempt run."""
        mode, prefix, _ = self.stage_environments()
        return self._execution(options, environments.deployment(mode, prefix))

    def _execution(self, options: RunOptions, deployment: Sequence[str]) -> Execution:
        plan = self.plan(options.caps, options.resources)
        return Execution(self.job_type, plan, deployment, self.profile)

    def _complete(self, options: RunOptions) -> RunOptions:
        """Fill in what the whole attempt may take; a cluster sees to time and memory itself."""
        if options.executor != "local":
            return options
        whole = self.plan(options.caps, options.resources).attempt
        return replace(
            options,
            runtime=options.runtime or whole.get("runtime"),
            mem_mb=options.mem_mb or whole.get("mem_mb"),
        )

    def stage_environments(self) -> tuple[environments.Mode, Path | None, dict[str, str]]:
        """Give how environments are made, where they are linked, and the variables for that."""
        mode = environments.resolve_mode(self.profile.environments)
        root, folders = self.home.environments, [self.job_type.folder.parent.parent / "envs"]
        if used := (self.job.config.get("processing") or {}).get("environment"):
            folders.append(Path(used).parent)
        prefix = environments.prefix_folder(mode, root=root, lock_folders=folders)
        variables = environments.environment_variables(mode, root=root, lock_folders=folders)
        if mode == "modules":
            label = self.job.config["release"]["label"]
            variables |= envmodules.variables(self.profile.modules, label)
        return mode, prefix, {**base_environment(self.home), **variables}


def base_environment(home: Home) -> dict[str, str]:
    """Give the caller's environment without what would change the work of rules, or is secret.

    Parameters
    ----------
    home : Home
        Its configuration says which variables have secrets.
    """
    folders = [home.path / "config" / kind for kind in _CONFIGURED]
    dropped = {*_NOT_PASSED_ON, *_SECRET, *reference.variables_in(folders)}
    for name in _SECRET:  # JOBRUNNER_MAIL may itself be a reference
        kind, _, where = os.environ.get(name, "").partition(":")
        dropped |= {where} if kind == "env" else set()
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return {**kept, **_SET}


def _creation(
    mode: environments.Mode, prefix: Path | None
) -> Callable[[], AbstractContextManager[None]] | None:
    """Give the lock under which a real conda makes environments; the stand-in has its own."""
    made_by_conda = environments.builder(mode) == "conda"
    return partial(environments.creation_lock, prefix) if made_by_conda and prefix else None
