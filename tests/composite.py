"""The composite job type of the tests, put together with what it uses."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "data"


def pair_source(folder: Path) -> Path:
    """Make a workflow source with the job types `toy` and `pair`, which uses it three times."""
    target = folder / "pair-source"
    shutil.copytree(DATA / "toy", target)
    shutil.copytree(DATA / "pair" / "workflow" / "pair", target / "workflow" / "pair")
    shutil.copytree(ROOT / "workflow" / "common", target / "workflow" / "common")
    return target
