"""Stage scripts in an interpreter that has imported its packages already.

Importing nomenclature or ixmp4 takes seconds, again for each test. A forked process that runs the
script as `__main__` is the same to the script; tests that kill one, or where the start itself
matters, start a real one.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SERVER = """
import atexit, importlib, json, os, runpy, sys, traceback
for name in sys.argv[1:]:
    importlib.import_module(name)
for line in sys.stdin:
    task = json.loads(line)
    child = os.fork()
    if child == 0:
        for number, (path, mode) in enumerate(task["streams"]):
            os.dup2(os.open(path, mode, 0o644), number)
        atexit._clear()  # what was registered waits for threads that a fork does not have
        os.environ.clear()
        os.environ.update(task["env"])
        sys.argv = task["argv"]
        sys.path[0] = os.path.dirname(task["argv"][0])
        code = 0
        try:
            runpy.run_path(task["argv"][0], run_name="__main__")
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            traceback.print_exc()
            code = 70
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Warm:
    """An interpreter that waits for scripts to run."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._folder = process, folder

    def run(
        self, command: Sequence[Any], env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a script with its options; what it wrote is captured."""
        output, errors = self._folder / "output", self._folder / "errors"
        written = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        task = {
            "argv": [str(word) for word in command],
            "env": dict(os.environ if env is None else env),
            "streams": [("/dev/null", os.O_RDONLY), (str(output), written), (str(errors), written)],
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return subprocess.CompletedProcess(
            task["argv"], code, output.read_text(), errors.read_text()
        )


@contextmanager
def warm(python: Path, folder: Path, *modules: str) -> Iterator[Warm]:
    """Start an interpreter that imports `modules` and then waits."""
    process = subprocess.Popen(
        [python, "-c", _SERVER, *modules],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield Warm(process, folder)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
