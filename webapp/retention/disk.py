"""Free space of the disk with the jobs."""

from __future__ import annotations

import shutil

from webapp.models import Job
from webapp.service import Service


def free(service: Service) -> int:
    """Give the free bytes."""
    return shutil.disk_usage(service.home.disk).free


def is_low(service: Service) -> bool:
    """Tell whether there are fewer than there are to be."""
    return free(service) < service.settings.disk_low


def may_go(job: Job) -> dict[str, str]:
    """Say that work files go because the disk is low, if the job is one of those."""
    return {"work": "the disk was low"} if job.status == "succeeded" and not job.pinned else {}
