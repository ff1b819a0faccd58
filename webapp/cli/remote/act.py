"""Commands that change a job of a service: ``cancel``, and ``rerun --server``."""

from __future__ import annotations

from typing import Any

import click

from runner.cli import document
from webapp.cli.remote.session import connected, json_option, server_option
from webapp.client import Job


@click.command()
@click.argument("job_id", metavar="ID")
@server_option
@json_option
def cancel(job_id: str, server: str | None, as_json: bool) -> None:
    """Cancel the job ID of a service."""
    with connected(server, as_json) as remote:
        job = remote.client.cancel(job_id)
        if as_json:
            document.show(job.document)
        elif job.ended:
            remote.say(f"Job {job.id} is {job.status}.")
        else:
            remote.say(f"Job {job.id} is being stopped. {_see(remote.command('follow', job.id))}")


def rerun(
    server: str,
    job_id: str,
    stage: str | None,
    only: bool,
    resources: dict[str, Any],
    as_json: bool,
) -> None:
    """Run a job of a service again: what `jobrunner rerun --server URL` does.

    Parameters
    ----------
    server : str
        Address of the service.
    job_id : str
        Id of the job.
    stage : str or None
        A stage to run again even if nothing changed.
    only : bool
        With `stage`: not what depends on it.
    resources : dict
        Resources asked for of the further attempt.
    as_json : bool
        Whether to print one JSON document.
    """
    with connected(server, as_json) as remote:
        job: Job = remote.client.rerun(job_id, stage, only, resources)
        if as_json:
            document.show(job.document)
        else:
            remote.say(f"Job {job.id} is {job.status}. {_see(remote.command('follow', job.id))}")


def _see(command: str) -> str:
    return f"Follow it with: {command}"
