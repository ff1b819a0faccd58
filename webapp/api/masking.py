"""Logs of jobs that still run: a credential in one is masked on its way out.

At the end of each attempt the runner masks them in the files, those of sub-jobs with them; until
then a library may have written one there. Who holds no credential, as a web server on a host of its
own may, has nothing to mask by.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from runner import profile
from runner.errors import JobRunnerError
from runner.redact import MaskedFile, secrets_in
from webapp import jobs
from webapp.api import auth
from webapp.models import ENDED, Job

Opener = Callable[[Path], MaskedFile]


def opener(job: Job) -> Opener:
    """Give what opens the logs of a job for people to read."""
    secrets = () if _whole(job).status in ENDED else _secrets(job)
    return lambda path: MaskedFile(path, secrets)


def _whole(job: Job) -> Job:
    """Give the job whose attempts they are: of a sub-job its parent."""
    if job.parent is None:
        return job
    with auth.service().db.read() as session:
        return jobs.get(session, job.parent)


def _secrets(job: Job) -> tuple[str, ...]:
    try:
        credentials = profile.load(job.profile, auth.service().home.path).credentials()
    except JobRunnerError:
        return ()
    return secrets_in(credentials)
