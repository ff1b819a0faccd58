"""The program that runs on a node and starts the command of a rule run there, or does not.

``python -S -E guard.py FOLDER SUBMISSION -- COMMAND…``, as the batch script of a SLURM job.

SLURM may start a job again after its node was lost, and the runner may submit it again, while the
command still lives on the node that nobody can reach. So that never two copies write one job
directory, a guard begins only when the fence lets it (`fence.void`) and when it holds the lock of
the rule run, which an earlier copy gives back when the last of its processes has ended; and it ends
its command within a second or so when the fence lets it no longer.

There are two processes: the guard, and a keeper below it that starts the command. Each adopts what
is orphaned below it (PR_SET_CHILD_SUBREAPER), so that no process can get away by changing session
or losing its parent; each ends the command if the other is killed; both hold the lock, and the
command does not inherit it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.slurm import fence
else:
    import fence  # beside this file: without packages there is no `runner`

_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_WATCHED = (*_FORWARDED, signal.SIGCHLD)
_EVERY = 1.0  # seconds between looks at the fence
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


class Guard:
    """A copy of a rule run: who it is, and what it was told."""

    def __init__(self, folder: str, submission: int, command: list[str]) -> None:
        self.folder, self.command = folder, command
        restart = os.environ.get("SLURM_RESTART_COUNT", "")
        self.identity = (submission, int(restart) if restart.isdigit() else 0)
        self.parent = os.getppid()
        self.told: set[int] = set()  # signals: each is passed on once, however often it comes

    def run(self) -> int:
        """Wait for the turn and the lock, run the command; give the exit code."""
        while fence.try_lock(self.folder) is None:  # an earlier copy is just ending
            if reason := self.void():
                return _refuse(reason)
            if signal.sigtimedwait(_FORWARDED, _EVERY / 4):
                return 128 + signal.SIGTERM
        if reason := self.void():  # only now: what is stopped stays so while the lock is held
            return _refuse(reason)
        if before := fence.ended(self.folder, self.identity[0]):  # a further copy of what is done
            return self.repeat(before)
        here, self.parent = _lives(self.parent), os.getpid()
        code = self.tend(_fork(self.keep), os.kill, here)
        _kill_descendants()
        return fence.VOID if code is None else code

    def keep(self) -> int:
        """Be the keeper: start the command, write down that it began and how it ended."""
        fence.write_document(self.folder, "start.json", self.facts())
        here, self.parent, look = _lives(self.parent), os.getpid(), self.allowed()
        code = self.tend(_fork(self.execute), os.killpg, lambda: here() and look())
        _kill_descendants()  # what the command has left behind in the background, too
        if code is None:
            return fence.VOID
        if code == 0 or not (self.told or self.void()):  # else SLURM ended it, or it was in the way
            fence.write_document(self.folder, "end.json", {**self.facts(), "exit": code})
        return code

    def repeat(self, before: dict[str, object]) -> int:
        """Say what an earlier copy has said already, and do nothing."""
        print(f"jobrunner: the rule run has ended already: {before}", file=sys.stderr)
        code = int(str(before["exit"]))
        fence.write_document(self.folder, "end.json", {**self.facts(), "exit": code})
        return code

    def execute(self) -> int:
        """Become the command, in a group of its own that dies with the keeper."""
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self.parent:  # it died before the kernel was asked
            return fence.VOID
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        try:
            os.execvp(self.command[0], self.command)  # noqa: S606 - what it is for
        except OSError as error:
            print(f"jobrunner: {self.command[0]}: {error.strerror}", file=sys.stderr, flush=True)
            return 126 if isinstance(error, PermissionError) else 127

    def tend(
        self, child: int, send: Callable[[int, int], None], go_on: Callable[[], bool]
    ) -> int | None:
        """Wait for a process and pass signals on to it; None once `go_on` says no."""
        while True:
            info = signal.sigtimedwait(_WATCHED, _EVERY)
            if (code := _reap(child)) is not None:
                return code
            if info and info.si_signo in _FORWARDED and info.si_signo not in self.told:
                self.told.add(info.si_signo)
                _send(send, child, info.si_signo)
            if not go_on():
                return None

    def allowed(self) -> Callable[[], bool]:
        """Look at the fence, once a second however often one asks."""
        due = 0.0

        def look() -> bool:
            nonlocal due
            if time.monotonic() < due:
                return True
            due = time.monotonic() + _EVERY
            if reason := self.void():
                _refuse(reason)
                return False
            return True

        return look

    def void(self) -> str | None:
        """Say why this copy must not work, if so."""
        return fence.void(self.folder, self.identity)

    def facts(self) -> dict[str, object]:
        """Give what stands in ``start.json`` and ``end.json``."""
        get = os.environ.get
        return {
            "slurm_job": get("SLURM_JOB_ID"),
            "submission": self.identity[0],
            "restart": self.identity[1],
            "host": get("SLURMD_NODENAME") or os.uname().nodename,
            "time": round(time.time(), 3),
        }


def _refuse(reason: str) -> int:
    print(f"jobrunner: this copy does nothing more: {reason}", file=sys.stderr, flush=True)
    return fence.VOID


def _lives(parent: int) -> Callable[[], bool]:
    """Tell, whenever asked, whether the process that started this one still lives.

    The guard's is SLURM's, to which it reports; a signal at the death of a parent would come at
    the death of a thread of it, too.
    """
    return lambda: os.getppid() == parent


def _fork(work: Callable[[], int]) -> int:
    """Run `work` in a process of its own; give its pid."""
    if pid := os.fork():
        return pid
    code = 70
    try:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        code = work()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _send(send: Callable[[int, int], None], child: int, number: int) -> None:
    try:
        send(child, number)
    except ProcessLookupError:  # it leads no group yet, or has just ended
        with suppress(ProcessLookupError):
            os.kill(child, number)


def _reap(child: int) -> int | None:
    """Take down what has ended below us; give the exit code of `child` as a shell would."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            code = 128 - code if code < 0 else code


def _kill_descendants() -> None:
    """Kill whatever lives below this process, and wait until it is gone."""
    pause = 0.001
    while found := _descendants(os.getpid()):
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(pause)  # one that waits for a file server may take its time
        pause = min(2 * pause, 0.5)
        _reap(0)


def _descendants(top: int) -> list[int]:
    """Give the living processes below `top`, from the kernel's list."""
    children: dict[int, list[int]] = {}
    dead = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as stream:
                    state, parent = stream.read().rpartition(b")")[2].split()[:2]
            except OSError:
                continue
            children.setdefault(int(parent), []).append(int(name))
            if state in (b"Z", b"X"):
                dead.add(int(name))
    found, below = [], list(children.get(top, ()))
    while below:
        pid = below.pop()
        below += children.get(pid, ())
        if pid not in dead:
            found.append(pid)
    return found


def main(argv: list[str]) -> int:
    """Read the command line and run."""
    folder, submission, separator, *command = argv
    if separator != "--" or not command:
        print("usage: guard.py FOLDER SUBMISSION -- COMMAND…", file=sys.stderr)
        return 2
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        return Guard(folder, int(submission), command).run()
    except FileNotFoundError:
        return _refuse("its folder is gone")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
