"""What can be asked of a job: cancel, rerun, resubmit, change, delete."""

from __future__ import annotations

from apiflask import APIBlueprint

from runner.errors import InvalidRequest
from webapp import jobs
from webapp.api import auth, reading, scratch
from webapp.api.schemas import JobOut
from webapp.api.schemas_writing import ChangeIn, RerunIn, ResubmitIn, SubmittedOut
from webapp.models import Job
from webapp.tokens import Forbidden

blueprint = APIBlueprint("actions", __name__, tag="jobs")


@blueprint.post("/jobs/<job_id>/cancel")
@blueprint.output(JobOut, status_code=202, description="It is cancelled, or is being stopped.")
@blueprint.doc(responses={409: "The job has ended, or it is a sub-job."})
def cancel(job_id: str) -> JobOut:
    """Cancel a job.

    One that waits is cancelled at once. One that runs is `stopping` until its attempt has ended.
    """
    auth.changeable(job_id)
    return _shown(jobs.cancel(auth.service(), job_id, auth.identity().user))


@blueprint.post("/jobs/<job_id>/rerun")
@blueprint.input(RerunIn, arg_name="wanted")
@blueprint.output(JobOut, status_code=202, description="A further attempt is queued.")
@blueprint.doc(responses={409: "The job has not ended, or the one that it is a part of."})
def rerun(job_id: str, wanted: RerunIn) -> JobOut:
    """Run a job again.

    It goes on from the results that it has; a stage that is named runs again even if nothing
    changed. Of a sub-job it is an attempt of the whole job that runs that one, and what it needs.
    """
    auth.changeable(job_id)
    if wanted.only and wanted.stage is None:
        message = "only goes with a stage"
        raise InvalidRequest(message, [{"pointer": "/only", "message": message}])
    by = auth.identity().user
    asked = wanted.resources.asked()
    return _shown(jobs.rerun(auth.service(), job_id, by, wanted.stage, wanted.only, asked))


@blueprint.post("/jobs/<job_id>/resubmit")
@blueprint.input(ResubmitIn, arg_name="wanted")
@blueprint.output(SubmittedOut, status_code=202, description="The new job is accepted.")
@blueprint.doc(responses={409: "It is a sub-job.", 507: "The disk has no room for the job."})
def resubmit(job_id: str, wanted: ResubmitIn) -> tuple[SubmittedOut, int, dict[str, str]]:
    """Submit the same files once more, as a new job, with changed parameters or another version."""
    job = auth.changeable(job_id)
    service = auth.service()
    scratch.check_room(service.home.path, service.settings.disk_reserve)
    done = jobs.resubmit(
        service,
        job_id,
        auth.identity().user,
        params=wanted.params,
        version=wanted.version,
        resources=wanted.resources.asked() if wanted.resources else None,
        max_priority=_highest(job.instance),
    )
    title = reading.catalogue().title(done.job.digest, done.job.type)
    answer = SubmittedOut.of(done.job, title=title, warnings=list(done.warnings))
    return answer, 202, {"Location": answer.url}


@blueprint.patch("/jobs/<job_id>")
@blueprint.input(ChangeIn, arg_name="wanted")
@blueprint.output(JobOut)
@blueprint.doc(responses={409: "It is a sub-job."})
def change(job_id: str, wanted: ChangeIn) -> JobOut:
    """Change the priority or the tags of a job, or pin it.

    Submitters may ask for a priority up to the instance's `max_priority`; to pin is for operators.
    """
    job = auth.changeable(job_id)
    _check_rights(wanted, job.instance)
    done = jobs.change(
        auth.service(),
        job_id,
        auth.identity().user,
        priority=wanted.priority,
        tags=wanted.tags,
        pinned=wanted.pinned,
    )
    return _shown(done)


@blueprint.delete("/jobs/<job_id>")
@blueprint.output({}, status_code=204, description="It is gone, with its files.")
@blueprint.doc(responses={409: "The job has not ended, it is pinned, or it is a sub-job."})
def delete(job_id: str) -> tuple[str, int]:
    """Delete a job that has ended, with its sub-jobs and all files."""
    auth.changeable(job_id)
    jobs.delete(auth.service(), job_id)
    return "", 204


def _shown(job: Job) -> JobOut:
    return JobOut.of(job, title=reading.catalogue().title(job.digest, job.type))


def _check_rights(wanted: ChangeIn, instance: str) -> None:
    if wanted.pinned is not None and not auth.identity().has_role("operator"):
        raise Forbidden("Only an operator may pin jobs.")
    highest = _highest(instance)
    if wanted.priority is not None and wanted.priority > highest:
        message = f"submitters of {instance} may ask for at most {highest}"
        raise InvalidRequest(message, [{"pointer": "/priority", "message": message}])


def _highest(instance: str) -> int:
    """Give the highest priority that the asker may ask for."""
    if auth.identity().has_role("operator"):
        return jobs.PRIORITIES[-1]
    found = auth.service().instances.all().get(instance)
    return found.max_priority if found else 0
