"""One command of a rule, held to what it may take, and what it used."""

from __future__ import annotations

import os
import select
import signal
import time

from runner.limits import flat, kernel, scratch
from runner.limits.cgroups import Group
from runner.limits.confine import Confinement
from runner.limits.disk import Watch
from runner.limits.kernel import MB
from runner.limits.measure import Meter
from runner.limits.settings import Settings

_FIRST, _SELDOM = 0.05, 1.0  # seconds between two looks: soon at first, then each second
_DOUBT = 1.0  # seconds in which a command should end that got a signal itself
_GRACE = 5.0  # seconds for a command to end after it was asked to
_REST = 2.0  # seconds for what a command left running, such as `> >(tee log)`
_EXITS = {  # as by SIGKILL, timeout(1), EDQUOT
    "memory": 137, "machine": 137, "runtime": 124, "disk": 122,
}  # fmt: skip
_UNHELD = (
    "jobrunner: {rule} cannot be put under its limits in {groups}: {error}. Without control groups:"
    " JOBRUNNER_LIMITS=rlimit.\n"
)


class Run:
    """A command, as the child of this process, which takes its place for Snakemake.

    Parameters
    ----------
    settings : Settings
        What it may take.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.over: str | None = None
        self.disk_mb = 0.0
        self._parent = os.getppid()
        self._status: int | None = None
        self._kill_at: float | None = None
        self._told: int | None = None  # a signal that came, to be passed on at
        self._told_at = 0.0
        self._folder = scratch.make_folder(settings)
        self._confinement = Confinement(settings)
        scratch.note(settings, self._folder, self._confinement.groups)
        self._meter = Meter(self._confinement.memory)
        folders = [settings.job, *([self._folder] if self._folder else [])]
        self._watch = Watch(folders) if settings.disk_mb is not None else None

    def run(self, program: str, arguments: list[str]) -> int:
        """Run it to its end, remove what it had for the time, note down what it used.

        Returns
        -------
        int
            Its wait status, or that of a failure where it took too much.
        """
        scratch.use_folder(self._folder)
        os.environ["JOBRUNNER_STAGE"] = self.settings.folder  # a module that fails is noted there
        kernel.adopt_orphans()
        self._hear()
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        child = os.fork()
        if child == 0:
            self._become(program, arguments)
        self._wait(child)
        self._end_rest()
        self._check_at_end()
        self._note(started)
        scratch.remove_folder(self._folder)
        if self._confinement.remove():
            scratch.remove_note(self.settings)
        assert self._status is not None
        return _EXITS[self.over] << 8 if self.over else self._status

    def _become(self, program: str, arguments: list[str]) -> None:
        try:
            for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these
                signal.signal(number, signal.SIG_DFL)
            kernel.die_with_parent()
            self._enter()
            os.execv(program, arguments)  # noqa: S606
        except OSError as error:
            os.write(2, f"jobrunner: {program}: {error}\n".encode())
        finally:
            os._exit(126)

    def _enter(self) -> None:
        try:
            self._confinement.enter()
        except OSError as error:
            groups = ", ".join(self._confinement.groups) or "no control group"
            told = _UNHELD.format(rule=self.settings.rule, groups=groups, error=error.strerror)
            os.write(2, os.fsencode(told))
            os._exit(126)

    def _hear(self) -> None:
        """Leave an interrupt to the command, which gets it as well; pass on the rest."""
        for number in (signal.SIGINT, signal.SIGQUIT):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda number, _: self._pass_on(number))
        signal.signal(kernel.ORPHANED, lambda *_: self._end_if_orphaned())
        kernel.hear_of_orphanhood()

    def _pass_on(self, number: int) -> None:
        """Pass a signal on to those that did not get it; once is enough for who cleans up.

        Who ends a group ends all in it; who ends this process alone is served a moment later.
        """
        pids = kernel.descendants(os.getpid())
        kernel.send([pid for pid in pids if not kernel.in_our_group(pid)], number)
        self._told_at, self._told = time.monotonic() + _DOUBT, number

    def _send(self, number: int) -> None:
        kernel.send(kernel.descendants(os.getpid()), number)

    def _end_if_orphaned(self) -> None:
        if os.getppid() != self._parent:  # the thread that started this one may have ended, too
            self._send(signal.SIGKILL)

    def _wait(self, child: int) -> None:
        poller = select.poll()
        descriptor = os.pidfd_open(child)
        poller.register(descriptor, select.POLLIN)
        while self._status is None:
            pause = min(_SELDOM, max(_FIRST, self._meter.seconds() / 10))
            poller.poll(pause * 1000)
            self._status = (kernel.reap() or {}).get(child)
            if self._status is None:
                self._look()
        os.close(descriptor)

    def _look(self) -> None:
        """See whether it takes too much, and end it then."""
        self._end_if_orphaned()
        if self._told is not None and time.monotonic() >= self._told_at:
            self._send(self._told)
            self._told = None
        memory = self._meter.sample()
        if self._kill_at is not None:
            if time.monotonic() >= self._kill_at:
                self._send(signal.SIGKILL)
        elif self._ran_out_of_memory(memory):
            self._send(signal.SIGKILL)
            self._kill_at = time.monotonic()
        elif self._takes_too_long() or self._fills_the_disk():
            self._send(signal.SIGTERM)
            self._kill_at = time.monotonic() + _GRACE

    def _ran_out_of_memory(self, memory: int) -> bool:
        limit, group = self.settings.mem_mb, self._confinement.memory
        if group is not None:
            self._see_kill(group)
        elif limit is not None and memory > limit * MB and self._confinement.by == "rlimit":
            self.over = "memory"
        return self.over is not None

    def _see_kill(self, group: Group) -> None:
        """See whether the kernel has killed for memory, and whether for that of the stage."""
        if group.killed():
            self.over = "memory" if group.was_full() else "machine"

    def _takes_too_long(self) -> bool:
        limit = self.settings.runtime
        if limit is not None and self._meter.seconds() >= limit * 60:
            self.over = "runtime"
        return self.over is not None

    def _fills_the_disk(self, now: bool = False) -> bool:
        if self._watch is not None and self.settings.disk_mb is not None:
            self.disk_mb = self._watch.look(now) or self.disk_mb
            if self.disk_mb > self.settings.disk_mb:
                self.over = "disk"
        return self.over is not None

    def _end_rest(self) -> None:
        """Wait a moment for processes that the command left, then kill them."""
        until = time.monotonic() + (0 if self.over else _REST)
        pause = 0.001
        while kernel.reap() is not None:
            if time.monotonic() >= until:
                self._send(signal.SIGKILL)
            self._end_if_orphaned()
            time.sleep(pause)
            pause = min(0.05, pause * 2)

    def _check_at_end(self) -> None:
        """See whether it took too much since the last look; a command may hide that it did."""
        if self.over is None and self._confinement.memory is not None:
            self._see_kill(self._confinement.memory)
        if self.over is None and self._status == 0:
            self._fills_the_disk(now=True)

    def _note(self, started: str) -> None:
        settings, used = self.settings, self._meter.used()
        group = self._confinement.memory
        if self.over == "memory" and group is not None and (most := group.most()):
            used["peak_mb"] = round(most / MB, 1)  # the last look may have been long before
        limits = {
            "memory": settings.mem_mb, "machine": settings.mem_mb,
            "runtime": settings.runtime, "disk": settings.disk_mb,
        }  # fmt: skip
        assert self._status is not None
        code = os.waitstatus_to_exitcode(self._status)
        told: dict[str, flat.Value] = {
            "rule": settings.rule,
            "host": scratch.host(),
            "started": started,
            **used,
            "exit": 128 - code if code < 0 else code,
            "over": self.over,
            "limit": limits[self.over] if self.over else None,
            "by": self._confinement.by,
        }
        if self.over == "disk":
            told["disk_mb"] = round(self.disk_mb, 1)
        path = f"{settings.folder}/used.{scratch.host()}.{os.getpid()}.json"
        scratch.write(path, flat.text(told))
        if self.over == "machine":
            os.write(2, f"jobrunner: the machine had no memory for {settings.rule}\n".encode())
        elif self.over:
            os.write(2, f"jobrunner: {settings.rule} took too much: {self.over}\n".encode())


def leave(status: int) -> None:
    """End this process as the one ended whose wait status that is."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        number = -code
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        code = 128 - code
    os._exit(code)
