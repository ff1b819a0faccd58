"""The option ``--home`` of the service's commands."""

from __future__ import annotations

import os

from runner.home import Home


def use_home(given: str | None) -> None:
    """Let the settings, and the processes started from here, take the home that was named."""
    os.environ["JOBRUNNER_HOME"] = str(Home.find(given).path)
