"""``conda env create --file F --prefix P``: build with uv, or link what is there already.

Run by path and isolated (``python -I …/standin/__main__.py``), so it finds the package itself.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NoReturn

if __package__ in (None, ""):  # after what is installed, lest a folder beside hides a package
    sys.path.append(str(Path(__file__).resolve().parents[2]))

from runner.errors import JobRunnerError
from runner.standin.store import EnvironmentStore, link


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say that it is the stand-in which does not know an option."""
        self.exit(2, f"jobrunner's stand-in for conda does not understand this call: {message}\n")


def main(arguments: list[str] | None = None) -> int:
    """Answer ``env create``; give the exit code."""
    parser = _Parser(prog="conda", allow_abbrev=False, add_help=False)
    parser.add_argument("command", choices=["env"])
    parser.add_argument("subcommand", choices=["create"])
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--no-default-packages", action="store_true")
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--prefix", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        environment = EnvironmentStore().build(options.file)
        link(options.prefix, environment)
    except JobRunnerError as error:
        print(error.message, file=sys.stderr)
        return 1
    print(f"{options.prefix} -> {environment}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
