"""From what a request brought to a submission: all that is wrong is said at once."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pydantic import ValidationError

from runner import profile, resources
from runner.errors import InvalidConfiguration, InvalidRequest, JobRunnerError, NotFound
from runner.inputs import check_inputs
from runner.jobtype import JobType
from runner.profile import Profile
from webapp.api import problem, reading, strict
from webapp.api.schemas_writing import JobIn, ResourcesIn
from webapp.api.uploads import Received, Unreadable
from webapp.instances import Choice, Instance
from webapp.jobs import Submission
from webapp.jobs.room import check_new
from webapp.notify import DEFAULT_ENDS
from webapp.service import Service
from webapp.tokens import Forbidden, Identity

_Problems = list[dict[str, Any]]
_ANY = "local"  # a profile that comes with the runner, where it does not matter which it is
_LOG = logging.getLogger(__name__)


def read(service: Service, asker: Identity, received: Received) -> Submission:
    """Check what came in.

    What remains to be checked (parameters, inputs) is left to ``jobs.submit`` if nothing else is
    wrong; else it is checked here, to be said together.

    Raises
    ------
    InvalidRequest
        With a problem for each wrong field.
    Forbidden
        If the token is for another instance.
    Unreadable
        If the document is no JSON.
    """
    document = _document(received)
    problems: _Problems = list(received.problems)
    try:
        wanted = JobIn.model_validate(document)
    except ValidationError as error:
        wrong = problem.problems_of(error)
        problems += wrong
        wanted = _usable(document, wrong)
    name = instance_of(asker, wanted.instance)
    submission = Submission(
        type=wanted.type,
        instance=name,
        user=asker.user,
        inputs=received.files,
        params=wanted.params,
        version=wanted.version,
        profile=wanted.profile,
        priority=wanted.priority,
        tags=wanted.tags,
        notify=wanted.notify,
        notify_on=wanted.notify_on,
        resources=wanted.resources.asked(),
    )
    if instance := service.instances.all().get(name):
        problems += _beyond_rights(asker, instance, submission)
    looked_at = problems or submission.profile
    used, wrong = _profile(service, submission) if looked_at else (None, [])
    known = {found["pointer"] for found in problems}
    problems += [found for found in wrong if found["pointer"] not in known]
    if problems:
        problems += _content(service, submission, used)
        raise InvalidRequest(_summary(problems), problems)
    return submission


def instance_of(asker: Identity, named: str | None) -> str:
    """Give the instance that a job is for.

    Raises
    ------
    Forbidden
        If the token is for another one; whether that exists is not told.
    """
    if named is not None and not asker.sees(named):
        raise Forbidden(f"This token is for instance {asker.instance!r}, not for {named!r}.")
    return named or asker.instance or "default"


def largest_sizes(service: Service, asker: Identity, document: bytes) -> Mapping[str, int]:
    """Give the largest size of each input, as soon as the document is known.

    Raises
    ------
    Forbidden
        If the token is for another instance: nothing more of the body is read.
    """
    try:
        wanted = JobIn.model_validate(strict.loads(document))
        name = instance_of(asker, wanted.instance)
        chosen = service.instances.resolve(service.home.releases, name, wanted.type, wanted.version)
        job_type = _job_type(chosen, wanted.type)
    except Forbidden:
        raise
    except (ValueError, JobRunnerError):  # said when all has been read
        return {}
    specs = job_type.inputs.values()
    return {spec.name: spec.max_size for spec in specs if spec.max_size is not None}


def digest(submission: Submission) -> str:
    """Give what two equal requests of the same user have in common."""
    said = {
        "type": submission.type,
        "instance": submission.instance,
        "user": submission.user,
        "version": submission.version,
        "profile": submission.profile,
        "params": submission.params,
        "priority": submission.priority,
        "tags": list(submission.tags),
        "notify": list(submission.notify),
        # where these say nothing new, older versions of the service know nothing of them
        **({"ends": sorted(ends)} if (ends := {*submission.notify_on}) != {*DEFAULT_ENDS} else {}),
        **({"resources": submission.resources} if submission.resources else {}),
        "inputs": {n: getattr(file, "sha256", None) for n, file in submission.inputs.items()},
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _document(received: Received) -> Any:
    if received.document is None:
        text = "The form has no part `request` with the JSON document that says what to run."
        problems = [*received.problems, {"pointer": "", "message": text}]
        raise InvalidRequest(text, problems)
    try:
        return strict.loads(received.document)
    except ValueError as error:
        raise Unreadable(f"The request is no JSON that can be read: {error}.") from error


def _usable(document: Any, wrong: _Problems) -> JobIn:
    """Give what of a wrong document is right, to look for further mistakes in it."""
    given = document if isinstance(document, dict) else {}
    bad = {found["pointer"].split("/")[1] for found in wrong if found["pointer"]}
    right = {name: given[name] for name in JobIn.model_fields if name in given and name not in bad}
    if "resources" in right:
        right["resources"] = ResourcesIn.model_validate(right["resources"])
    return JobIn.model_construct(**{"type": "", **right})


def _beyond_rights(asker: Identity, instance: Instance, wanted: Submission) -> _Problems:
    """Tell what a submitter may not ask for."""
    if asker.has_role("operator"):
        return []
    found = []
    if wanted.priority > instance.max_priority:
        found.append(
            problem_at(
                "/priority",
                f"submitters of {instance.name} may ask for at most {instance.max_priority}",
            )
        )
    own = _own_profile(instance, wanted.type)
    if wanted.profile not in (None, own):
        found.append(
            problem_at("/profile", f"only an operator may use another profile than {own!r}")
        )
    return found


def problem_at(pointer: str, message: str) -> dict[str, Any]:
    """Give a problem with one field."""
    return {"pointer": pointer, "message": message}


def _own_profile(instance: Instance, type_name: str) -> str:
    rule = (instance.types or {}).get(type_name)
    return (rule and rule.profile) or instance.profile


def _profile(service: Service, wanted: Submission) -> tuple[Profile | None, _Problems]:
    """Give the profile that a job would have, or what is wrong with it."""
    instance = service.instances.all().get(wanted.instance)
    own = _own_profile(instance, wanted.type) if instance else _ANY
    name = wanted.profile or own
    try:
        return profile.load(name, service.home.path), []
    except (NotFound, InvalidRequest) as error:
        return None, [problem_at("/profile", error.message)]
    except InvalidConfiguration as error:
        _LOG.error("%s", error.message)  # which names folders of this machine
        text = f"The file of profile {name!r} is wrong; an operator finds the reason in the log."
        return None, [problem_at("/profile", text)]


def _content(service: Service, wanted: Submission, used: Profile | None) -> _Problems:
    """Check type, version, parameters, inputs and resources, as far as they are known."""
    if not wanted.type:
        return []
    found: _Problems = []
    checks: list[Callable[[], object]]
    try:
        chosen = service.instances.resolve(
            service.home.releases, wanted.instance, wanted.type, wanted.version, _ANY
        )
        job_type = _job_type(chosen, wanted.type)
    except JobRunnerError as error:
        return error.problems
    checks = [
        partial(job_type.complete_params, wanted.params),
        partial(check_inputs, job_type, wanted.inputs),
    ]
    if used:
        asked, caps, whose = wanted.resources, chosen.caps, f"Instance {wanted.instance}"
        checks += [
            partial(resources.check, job_type, used, asked, caps, whose),
            partial(check_new, service, used, job_type, asked, caps),
        ]
    for check in checks:
        try:
            check()
        except InvalidRequest as error:
            found += error.problems
    return found


def _job_type(chosen: Choice, type_name: str) -> JobType:
    known = (
        reading.catalogue().versions().get(type_name, [])
    )  # read once; the release is verified later
    for found in known:
        if found.release.label == chosen.version:
            return found.job_type
    raise NotFound(f"{type_name} of release {chosen.version} cannot be read.")


def _summary(problems: _Problems) -> str:
    lines = [f"  {found['pointer'] or '/'}: {found['message']}" for found in problems]
    return "\n".join(["The request is wrong:", *lines])
