"""Whether the service answers, and whether it can work; for load balancers and monitors.

``/healthz`` asks nobody: it says that this process answers. ``/readyz`` asks database, Redis and
disk. It is 503 only where requests would fail: without the database or the home folder. Without
Redis, workers or free disk it is 200 and ``degraded``: reading works, and (but for the disk)
submitting too, so a load balancer must go on sending requests here.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from importlib.metadata import version
from typing import Literal

from apiflask import APIBlueprint
from flask import current_app

from runner.errors import JobRunnerError
from webapp import migrate, pools
from webapp.api.openapi import Responses
from webapp.api.schemas_operations import (
    CheckOut,
    HealthOut,
    ReadyOut,
)
from webapp.service import Service

blueprint = APIBlueprint("health", __name__)
_NEEDED = ("database", "home")
_UNAVAILABLE: Responses = {
    503: {
        "description": "Requests would fail: the database or the home folder is away.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ReadyOut"}}},
    }
}


@blueprint.get("/healthz")
@blueprint.output(HealthOut)
def healthz() -> HealthOut:
    """Tell that this process answers."""
    return HealthOut(status="ok", version=version("ixmp-jobrunner"))


@blueprint.get("/readyz")
@blueprint.output(ReadyOut)
@blueprint.doc(responses=_UNAVAILABLE)
def readyz() -> tuple[ReadyOut, int, dict[str, str]]:
    """Tell whether the service can work.

    200 ``ok``, or 200 ``degraded`` if jobs are taken but start late or not at all (Redis or all
    workers are away, the disk is nearly full); 503 ``unavailable`` if requests would fail.
    """
    service: Service = current_app.extensions["jobrunner"]
    checks = {name: _checked(check, service) for name, check in _CHECKS.items()}
    if not all(checks[name].ok for name in _NEEDED):
        return ReadyOut(status="unavailable", checks=checks), 503, {"Retry-After": "5"}
    status: Literal["ok", "degraded"] = (
        "ok" if all(check.ok for check in checks.values()) else "degraded"
    )
    return ReadyOut(status=status, checks=checks), 200, {}


def _checked(check: Callable[[Service], CheckOut], service: Service) -> CheckOut:
    try:
        return check(service)
    except JobRunnerError as error:  # names of hosts are for the log only
        current_app.logger.warning("%s: %s", check.__name__, error.message)
        return CheckOut(ok=False, detail=_AWAY.get(error.code, "does not answer"))
    except OSError as error:
        return CheckOut(ok=False, detail=error.strerror or type(error).__name__)


_AWAY = {
    "queue_unavailable": "does not answer: jobs are taken, and start once it is back",
    "database_schema": "its tables are not those of this version: `jobrunner migrate`",
}


def _database(service: Service) -> CheckOut:
    migrate.check(service.db)
    return CheckOut(ok=True, detail="answers")


def _redis(service: Service) -> CheckOut:
    service.queue.ping()
    return CheckOut(ok=True, detail="answers")


def _home(service: Service) -> CheckOut:
    if not os.access(service.home.path, os.W_OK | os.X_OK):
        return CheckOut(ok=False, detail="cannot be written to")
    return CheckOut(ok=True, detail="can be written to")


def _disk(service: Service) -> CheckOut:
    free = shutil.disk_usage(service.home.disk).free
    if free < service.settings.disk_reserve:
        return CheckOut(ok=False, detail=f"{free // 10**6} MB free: no jobs are taken")
    return CheckOut(ok=True, detail=f"{free // 10**6} MB free")


def _workers(service: Service) -> CheckOut:
    with service.db.read() as session:
        number = len(pools.living(session, service.settings))
    return CheckOut(ok=number > 0, detail=f"{number} alive")


_CHECKS = {
    "database": _database,
    "home": _home,
    "redis": _redis,
    "disk": _disk,
    "workers": _workers,
}
