"""From a request to a running attempt: release, profile, environments and limits put together."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from runner import environments, profile, redact, reference, release, sub_jobs
from runner.attempt import Attempt
from runner.command import RunOptions
from runner.errors import InvalidRequest, NotFound
from runner.files import room_on_disk
from runner.home import Home
from runner.inputs import Upload, check_inputs
from runner.jobdir import JobDirectory, JobRequest
from runner.jobtype import JobType
from runner.processing import PinnedProcessing, pin
from runner.profile import DSN_VARIABLE, PUBLISH_VARIABLE, Profile
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
class ProcessingRequest:
    """Which processing repository a job uses: where, which revision, which function of it."""

    source: str
    revision: str | None = None
    entry: str = "main"


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
            replace(
                options,
                runtime=options.runtime or self.limit("runtime"),
                mem_mb=options.mem_mb or self.limit("mem_mb"),
            ),
            environment={**variables, **credentials},
            conda_prefix=prefix,
            creation=_creation(mode, prefix),
            secrets=redact.secrets_in(credentials),
            standby=standby,
        )

    def options(self, **given: Any) -> RunOptions:
        """Give run options with the default number of cores; checks the names of stages."""
        part = given.get("sub_job")
        job_type = self.job_type.sub_job(part).type if part else self.job_type
        for name in filter(None, (given.get("until"), given.get("stage"))):
            job_type.stage(name)
        given["cores"] = given.get("cores") or self.limit("cores") or os.cpu_count()
        return RunOptions(**given)

    def stage_environments(self) -> tuple[environments.Mode, Path | None, dict[str, str]]:
        """Give how environments are made, where they are linked, and the variables for that."""
        mode = environments.resolve_mode(self.profile.environments)
        root, folders = self.home.environments, [self.job_type.folder.parent.parent / "envs"]
        if used := (self.job.config.get("processing") or {}).get("environment"):
            folders.append(Path(used).parent)
        prefix = environments.prefix_folder(mode, root=root, lock_folders=folders)
        variables = environments.environment_variables(mode, root=root, lock_folders=folders)
        return mode, prefix, {**base_environment(self.home), **variables}

    def limit(self, name: str) -> Any:
        """Give a limit of an attempt: ``cores``, ``mem_mb``, ``runtime``; None if there is none."""
        return self.profile.limits.get(name, self.job_type.resources.get(name))


def create(
    home: Home,
    type_name: str,
    *,
    inputs: Mapping[str, Path],
    params: Mapping[str, Any],
    version: str | None = None,
    profile_name: str = "local",
    processing_request: ProcessingRequest | None = None,
    jobs: Path | None = None,
) -> Prepared:
    """Write the directory of a new job.

    Parameters
    ----------
    home : Home
        Where it goes.
    type_name : str
        The job type.
    inputs, params : mapping
        What is submitted.
    version : str, optional
        Label of a release; the newest by default.
    profile_name : str
        The profile.
    processing_request : ProcessingRequest, optional
        The processing repository; it is pinned and fetched now.
    jobs : Path, optional
        Another folder for the job directory than the home's.

    Raises
    ------
    JobRunnerError
        If anything asked for is wrong; nothing is left behind then.
    """
    drafted = draft(
        home,
        type_name,
        inputs=inputs,
        params=params,
        version=version,
        profile_name=profile_name,
        processing_request=processing_request,
        jobs=jobs,
    )
    return replace(drafted, job=drafted.job.place())


def draft(
    home: Home,
    type_name: str,
    *,
    inputs: Mapping[str, Path | Upload],
    params: Mapping[str, Any],
    version: str | None = None,
    profile_name: str = "local",
    processing_request: ProcessingRequest | None = None,
    jobs: Path | None = None,
    **submitted: Any,
) -> Prepared:
    """Write a new job beside its place, for a caller who has to note it down first.

    Parameters as for `create`; `submitted` are further fields of `JobRequest`: ``instance``,
    ``by``, ``queue``. ``job.place()`` makes it a job, ``job.discard()`` removes it.

    Raises
    ------
    JobRunnerError
        If anything asked for is wrong; nothing is left behind then.
    """
    chosen = home.releases.get(version) if version else home.releases.newest(type_name)
    job_type = chosen.job_type(type_name)
    used = profile.load(profile_name, home.path)
    complete = _checked(job_type, inputs, params)
    pinned = _pin(home, job_type, processing_request, complete.get("packages_as_of"))
    warnings = pinned.warnings if pinned else ()
    request = JobRequest(
        type=job_type,
        release=release.as_config(chosen),
        inputs=inputs,
        params=complete,
        platform=used.platform_config(home.path, submitted.get("instance", "default")),
        processing=pinned.as_config() if pinned else None,
        profile=profile_name,
        **submitted,
    )
    with room_on_disk(home.path):
        job = JobDirectory.draft(jobs or home.jobs, request)
        sub_jobs.sync(job)
    for warning in warnings:
        job.events.append("note", source="runner", message=warning)
    return Prepared(job, job_type, used, home, tuple(warnings))


def reopen(home: Home, job: JobDirectory) -> Prepared:
    """Prepare an existing job, with the release that it has.

    Raises
    ------
    NotFound
        If this home has no release of that content.
    """
    wanted = job.config["release"]
    for found in reversed(home.releases.all()):
        if found.digest == wanted["digest"]:
            found.verify()
            used = profile.load(job.config.get("profile", "local"), home.path)
            return Prepared(job, found.job_type(job.type), used, home)
    raise NotFound(
        f"Job {job.id} runs with release {wanted['label']} ({wanted['digest'][:19]}…), which "
        f"{home.path} does not have. Publish it there: jobrunner publish SOURCE --revision R "
        f"--as {wanted['label']}"
    )


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
    return partial(environments.creation_lock, prefix) if mode == "conda" and prefix else None


def _checked(
    job_type: JobType, inputs: Mapping[str, Path | Upload], params: Mapping[str, Any]
) -> dict[str, Any]:
    """Check parameters and inputs, so that all that is wrong is said at once."""
    try:
        complete = job_type.complete_params(params)
    except InvalidRequest as error:
        try:
            check_inputs(job_type, inputs)
        except InvalidRequest as further:
            problems = [*error.problems, *further.problems]
            raise InvalidRequest(f"{further.message}\n{error.message}", problems) from error
        raise
    check_inputs(job_type, inputs)
    return complete


def _pin(
    home: Home, job_type: JobType, wanted: ProcessingRequest | None, as_of: str | None
) -> PinnedProcessing | None:
    if wanted is None:
        if job_type.processing == "required":
            message = (
                f"{job_type.name} needs a processing repository: name one with --processing; in "
                "the service, the configuration of the instance does."
            )
            raise InvalidRequest(message, [{"pointer": "/processing", "message": message}])
        return None
    if job_type.processing == "no":
        raise InvalidRequest(f"{job_type.name} uses no processing repository.")
    return pin(
        wanted.source,
        store=home.processing,
        revision=wanted.revision,
        entry=wanted.entry,
        as_of=date.fromisoformat(as_of) if as_of else None,
    )
