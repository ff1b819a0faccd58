"""The sweeper: sweeps now and then, for ever."""

from __future__ import annotations

import logging
import time
from contextlib import suppress

from webapp.lease import lease
from webapp.retention import disk
from webapp.retention.sweep import Sweeper
from webapp.service import Service

_LOOK = 30.0  # seconds between looks at the disk

log = logging.getLogger(__name__)


def watch(service: Service) -> None:
    """Sweep every so often, and soon when the disk gets low; of all hosts of a home, one does."""
    sweeper = Sweeper(service)
    while True:
        try:
            with lease(service.home.path, "retention") as mine:
                if mine and (report := sweeper.sweep(service.settings.sweep_budget)):
                    log.info("%s", report)
        except Exception:  # the next round may do better
            log.exception("the sweeper is hindered")
        _wait(service)


def _wait(service: Service) -> None:
    until = time.monotonic() + service.settings.sweep_every
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, _LOOK))
        with suppress(OSError):  # the disk is away, just now
            if disk.is_low(service):
                return
