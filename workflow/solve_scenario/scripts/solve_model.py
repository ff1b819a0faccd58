"""SOLVE: run the solver in a process of its own, within its limits of time and memory.

The solver's own output is the log of this stage. This process only watches: it can say what
happened when the other one is killed for want of memory, or does not end in time.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

import model_options
from stagekit import program
from stagekit.problems import StageError

GRACE = 60.0  # seconds beyond the limit, for reading, writing and a diagnosis
MEGABYTE = 1_000_000
NO_MEMORY = ("bad_alloc", "memory allocation of", "MemoryError", "ut of memory", "kMemoryLimit")
OUT_OF_MEMORY = 70  # the solver's process says so by this exit code
TOLD = 71  # … and by this one that it wrote its error document
_PR_SET_PDEATHSIG = 1


def main(args: argparse.Namespace) -> None:
    """Start the solver's process, wait for it, and say what became of it."""
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as errors:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            _become_solver(args, errors.fileno())
        ended = _wait(child, args.time_limit + args.grace)
        errors.seek(0)
        said = errors.read()
    sys.stderr.write(said)
    if ended is None:
        raise StageError(
            "time_limit",
            f"The solver did not end {args.grace:.0f} seconds after its time limit of"
            f" {args.time_limit:g} seconds, and was stopped. Raise `time_limit`.",
        )
    code = os.waitstatus_to_exitcode(ended)
    if code == 0:
        return
    if code == TOLD:
        raise SystemExit(1)
    print(f"the solver's process ended with {code} after {time.monotonic() - started:.0f} s")
    if code == OUT_OF_MEMORY or any(sign in said for sign in NO_MEMORY):
        raise StageError(
            "out_of_memory",
            f"The model needs more than the {args.mem_mb} MB of memory that it may take. Raise"
            " `mem_mb`, or make the model smaller.",
        )
    if code == -signal.SIGKILL:
        raise StageError(
            "out_of_memory",
            "The solver's process was killed, most likely because the machine or the job ran out"
            f" of memory; it may take {args.mem_mb} MB. Raise `mem_mb`.",
        )
    name = f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}"
    raise StageError(
        "solver_crashed",
        f"The solver's process ended with {name}. What it printed is in the log of this stage.",
    )


def _wait(child: int, limit: float) -> int | None:
    """Wait for a process; kill it after `limit` seconds and give None."""
    descriptor = os.pidfd_open(child)
    try:
        if not select.select([descriptor], [], [], limit)[0]:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
    finally:
        os.close(descriptor)
    return os.waitpid(child, 0)[1]


def _become_solver(args: argparse.Namespace, errors: int) -> NoReturn:
    """Limit this process, solve, and end without returning."""
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # nobody else would stop it
        os.dup2(errors, 2)
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"):
            os.environ[name] = str(args.threads)
        # writable memory rather than address space: libraries reserve much that they never use
        resource.setrlimit(resource.RLIMIT_DATA, (args.mem_mb * MEGABYTE,) * 2)
        code = _solve(args)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class _OutOfMemory(BaseException):
    """Memory is short in this process: the one that watches it writes the error."""


def _solve(args: argparse.Namespace) -> int:
    def work() -> None:
        try:
            import solving

            solving.solve(args)
        except MemoryError as error:
            raise _OutOfMemory from error
        except (RuntimeError, OSError) as error:
            # libraries in C have other words for it
            if _near_limit(args.mem_mb) and getattr(error, "errno", None) != errno.ENOSPC:
                traceback.print_exc()
                raise _OutOfMemory from error
            raise

    try:
        return TOLD if program.run("solve", args.error, work) else 0
    except _OutOfMemory:
        return OUT_OF_MEMORY


def _near_limit(mem_mb: int) -> bool:
    """Tell whether this process holds half of its memory: more must have been asked for."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    written = next(int(line.split()[1]) for line in lines if line.startswith("VmData"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return max(written, peak) * 1024 > mem_mb * MEGABYTE / 2  # both are in kB


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("items", "model", "model-about", "solution", "about", "problems"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    model_options.add(parser)
    parser.add_argument("--solver", default="highs", help="as linopy calls it")
    parser.add_argument("--options", default="{}", help="JSON, under the solver's own names")
    parser.add_argument("--time-limit", type=float, default=3600, help="seconds")
    parser.add_argument("--grace", type=float, default=GRACE, help="seconds after the time limit")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--mem-mb", type=int, default=4000, help="memory of the solver's process")
    parser.add_argument("--accept", choices=["optimal", "feasible"], default="optimal")
    parser.add_argument("--error", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse()
    sys.exit(program.run("solve", arguments.error, lambda: main(arguments)))
