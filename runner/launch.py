"""From a request to a job that is ready to run: checked, written, or opened again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from runner import profile, release, resources, sub_jobs
from runner.errors import InvalidRequest, NotFound
from runner.files import room_on_disk
from runner.home import Home
from runner.inputs import Upload, check_inputs
from runner.jobdir import JobDirectory, JobRequest
from runner.jobtype import JobType
from runner.prepared import Prepared
from runner.processing import PinnedProcessing, pin


@dataclass(frozen=True)
class ProcessingRequest:
    """Which processing repository a job uses: where, which revision, which function of it."""

    source: str
    revision: str | None = None
    entry: str = "main"


def create(
    home: Home,
    type_name: str,
    *,
    inputs: Mapping[str, Path],
    params: Mapping[str, Any],
    version: str | None = None,
    profile_name: str = "local",
    processing_request: ProcessingRequest | None = None,
    asked: Mapping[str, Any] | None = None,
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
    asked : mapping, optional
        Resources that differ from what the job type and the profile say; see `resources.resolve`.
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
        asked=asked,
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
    asked: Mapping[str, Any] | None = None,
    caps: Mapping[str, Any] | None = None,
    jobs: Path | None = None,
    **submitted: Any,
) -> Prepared:
    """Write a new job beside its place, for a caller who has to note it down first.

    Parameters as for `create`; `caps` are bounds of the instance for `asked`; `submitted` are
    further fields of `JobRequest`: ``instance``, ``by``, ``queue``. ``job.place()`` makes it a job,
    ``job.discard()`` removes it.

    Raises
    ------
    JobRunnerError
        If anything asked for is wrong; nothing is left behind then.
    """
    chosen = home.releases.get(version) if version else home.releases.newest(type_name)
    job_type = chosen.job_type(type_name)
    used = profile.load(profile_name, home.path)
    whose = f"Instance {submitted.get('instance', 'default')}"
    check = partial(resources.check, job_type, used, asked or {}, caps, whose)
    complete = _checked(job_type, inputs, params, check)
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
        resources=asked,
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


def _checked(
    job_type: JobType,
    inputs: Mapping[str, Path | Upload],
    params: Mapping[str, Any],
    resources_are_right: Callable[[], None],
) -> dict[str, Any]:
    """Check parameters, inputs and resources, so that all that is wrong is said at once."""
    complete: dict[str, Any] = {}
    wrong: list[InvalidRequest] = []
    for check in (
        partial(check_inputs, job_type, inputs),
        lambda: complete.update(job_type.complete_params(params)),
        resources_are_right,
    ):
        try:
            check()
        except InvalidRequest as error:
            wrong.append(error)
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        problems = [problem for error in wrong for problem in error.problems]
        raise InvalidRequest("\n".join(error.message for error in wrong), problems)
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
