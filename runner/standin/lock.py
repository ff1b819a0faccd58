"""``python -m runner.standin.lock envs/*.yaml``: write the locks of environment files anew."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from runner.errors import JobRunnerError
from runner.standin import locks


def main(arguments: list[str] | None = None) -> int:
    """Write (or with ``--check`` only compare) locks; give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m runner.standin.lock", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="ENVIRONMENT.yaml")
    parser.add_argument("--check", action="store_true", help="fail if a lock is not current")
    options = parser.parse_args(arguments)
    failed = False
    for file in options.files:
        try:
            if not options.check:
                print(locks.write(file))
            elif not locks.is_current(file):
                failed = True
                print(f"{file}: its lock is missing or was made for other content", file=sys.stderr)
        except JobRunnerError as error:
            failed = True
            print(error.message, file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
