"""Logs of jobs that still run: a credential in one is masked on its way out.

At the end of each attempt the runner masks them in the files; until then a library may have
written one there. Who holds no credential, as a web server on a host of its own may, has nothing
to mask by.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from runner import profile
from runner.errors import JobRunnerError
from runner.profile import DSN_VARIABLE
from runner.redact import MaskedFile, secrets_of
from webapp.api import auth
from webapp.models import ENDED, Job

Opener = Callable[[Path], MaskedFile]


def opener(job: Job) -> Opener:
    """Give what opens the logs of a job for people to read."""
    secrets = () if job.status in ENDED else _secrets(job)
    return lambda path: MaskedFile(path, secrets)


def _secrets(job: Job) -> tuple[str, ...]:
    try:
        credentials = profile.load(job.profile, auth.service().home.path).credentials()
    except JobRunnerError:
        return ()
    return secrets_of(credentials.get(DSN_VARIABLE))
