"""Where the job types, environments and configuration that come with the runner lie."""

from __future__ import annotations

from pathlib import Path


def root() -> Path:
    """Give the folder with ``workflow/``, ``envs/`` and ``config/``: the clone, or the wheel's."""
    package = Path(__file__).resolve().parent
    packaged = package / "share"
    return packaged if packaged.is_dir() else package.parent
