"""``python -m runner.standin.build envs/*.yaml``: build environments before a job needs them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from runner.errors import JobRunnerError
from runner.standin.store import EnvironmentStore


def main(arguments: list[str] | None = None) -> int:
    """Build each file's environment, or find it built; give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m runner.standin.build", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="ENVIRONMENT.yaml")
    parser.add_argument("--store", type=Path, help="folder of the environments")
    options = parser.parse_args(arguments)
    failed = False
    for file in options.files:
        try:
            print(f"{file}: {EnvironmentStore(options.store).build(file)}", flush=True)
        except JobRunnerError as error:
            failed = True
            print(error.message, file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
