"""How a program is told which model plug-in to use. Needs nothing but Python."""

from __future__ import annotations

from argparse import ArgumentParser
from importlib.util import find_spec
from pathlib import Path

from stagekit.problems import StageError


def add(parser: ArgumentParser) -> None:
    """Add the options that name a plug-in."""
    parser.add_argument("--plugin", help="name of a model, or file in the processing repository")
    parser.add_argument("--file", type=Path, help="plug-in that came with the job")
    parser.add_argument("--checkout", type=Path, help="checkout of the processing repository")
    parser.add_argument("--entry", default="main", help="function in its workflow.py")


def needs(*packages: str) -> None:
    """Make sure that the plug-in's environment has what the stage itself needs.

    Raises
    ------
    StageError
        ``package_missing``, with what to do.
    """
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise StageError(
            "package_missing",
            f"The plug-in's environment has no {' and no '.join(missing)}, which the job type needs"
            " beside the plug-in. Name it in the environment file or in requirements.txt.",
        )
