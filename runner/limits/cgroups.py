"""Control groups of Linux, version 2 or else 1, that hold the memory and CPU of one command."""

from __future__ import annotations

import os
import time

from runner.limits.kernel import MB

PREFIX = "jobrunner-"
_MAIN = "main"  # as `DelegateSubgroup=` of the unit that comes along
_PERIOD = 100_000  # microseconds, the kernel's own default
_FULL = 0.99  # of its limit: more than a group of version 1 has that others left no memory


class Group:
    """A control group below the one of this process.

    Parameters
    ----------
    path : str
        Its folder.
    version : int
        1 or 2.
    """

    def __init__(self, path: str, version: int) -> None:
        self.path = path
        self.version = version

    def limit_memory(self, mem_mb: float) -> None:
        """Bound its memory; what it could swap out counts as well.

        Raises
        ------
        OSError
            If the kernel refuses.
        """
        size = str(int(mem_mb * MB))
        if self.version == 2:
            self._write("memory.max", size)
            self._try("memory.swap.max", "0")
            self._try("memory.oom.group", "1")
        else:
            self._write("memory.limit_in_bytes", size)
            self._try("memory.memsw.limit_in_bytes", size)

    def limit_cpu(self, cores: float) -> None:
        """Bound its CPU time to that of so many cores.

        Raises
        ------
        OSError
            If the kernel refuses.
        """
        quota = int(cores * _PERIOD)
        if self.version == 2:
            self._write("cpu.max", f"{quota} {_PERIOD}")
        else:
            self._write("cpu.cfs_period_us", str(_PERIOD))
            self._write("cpu.cfs_quota_us", str(quota))

    def enter(self) -> None:
        """Move this process into it."""
        self._write("cgroup.procs", "0")

    def memory(self) -> int:
        """Give its memory in bytes that is no copy of a file: anonymous and shared."""
        names = ("anon", "shmem") if self.version == 2 else ("total_rss", "total_shmem")
        found = _table(f"{self.path}/memory.stat")
        return sum(found.get(name, 0) for name in names)

    def most(self) -> int:
        """Give the most memory in bytes that it ever had, copies of files included.

        It is 0 where the kernel does not say it: version 2 does since Linux 5.19.
        """
        return self._number("memory.peak" if self.version == 2 else "memory.max_usage_in_bytes")

    def killed(self) -> bool:
        """Tell whether the kernel has killed a process of it for want of memory, whoever's."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        return _table(f"{self.path}/{name}").get("oom_kill", 0) > 0

    def was_full(self) -> bool:
        """Tell whether it came to its own limit; else a kill was for the machine or a group around.

        Version 2 counts that. Of version 1 the counter ``memory.failcnt`` stays 0 with kernels of
        today, so the most that it had is compared with its limit.
        """
        if self.version == 2:
            return _table(f"{self.path}/memory.events").get("oom", 0) > 0
        most = max(self.most(), self._number("memory.memsw.max_usage_in_bytes"))
        return most >= _FULL * self._number("memory.limit_in_bytes")

    def remove(self) -> bool:
        """Remove it, whose processes must have ended; tell whether it is gone."""
        for _ in range(50):  # the kernel needs a moment after the last has ended
            try:
                os.rmdir(self.path)
            except FileNotFoundError:
                return True
            except OSError:
                time.sleep(0.01)
            else:
                return True
        return False

    def _number(self, name: str) -> int:
        text = _read(f"{self.path}/{name}").strip()
        return int(text) if text.isdigit() else 0

    def _write(self, name: str, text: str) -> None:
        with open(f"{self.path}/{name}", "w", encoding="ascii") as stream:
            stream.write(text)

    def _try(self, name: str, text: str) -> None:
        try:
            self._write(name, text)
        except OSError:  # a kernel without that file
            return


class Tree:
    """The control groups that this process sees.

    Parameters
    ----------
    mounts, own : str
        The kernel's tables of where they are and in which of them this process is.
    """

    def __init__(
        self, mounts: str = "/proc/self/mountinfo", own: str = "/proc/self/cgroup"
    ) -> None:
        self._mounts = [_mount(line) for line in _read(mounts).splitlines() if " - cgroup" in line]
        self._own = [line.split(":", 2) for line in _read(own).splitlines()]

    def make(self, controller: str) -> Group | None:
        """Make a group that has a controller, ``memory`` or ``cpu``, if that can be had here."""
        for parent, version in (self._second(controller), 2), (self._first(controller), 1):
            if parent is None or (version == 2 and not _pass_on(parent, controller)):
                continue
            path = f"{parent}/{PREFIX}{os.getpid()}-{time.time_ns():x}"
            try:
                os.mkdir(path)
            except OSError:
                continue
            return Group(path, version)
        return None

    def settle(self) -> None:
        """Move this process into a group below its own, if that makes groups with memory possible.

        A group that has processes cannot pass memory on. Where a service manager has given the
        process's group to its user, and there is no other process in it, this one makes room: what
        systemd does itself since version 254 (``DelegateSubgroup=``). Else nothing is changed.
        """
        if self.version("memory") or not (places := self._places("")):
            return
        top, own = places[0]
        is_ours = own != top and 0 != os.geteuid() == os.stat(own).st_uid
        has_memory = "memory" in _read(f"{own}/cgroup.controllers").split()
        is_alone = _read(f"{own}/cgroup.procs").split() == [str(os.getpid())]
        if not (is_ours and has_memory and is_alone):
            return
        below = Group(f"{own}/{_MAIN}", 2)
        try:
            os.makedirs(below.path, exist_ok=True)
            below.enter()
        except OSError:  # processes are limited instead
            return

    def extend(self, group: Group, controller: str) -> bool:
        """Give a group of version 2 another controller, if it can be had."""
        parent = os.path.dirname(group.path)
        return _offers(parent, controller) and _pass_on(parent, controller)

    def version(self, controller: str) -> int | None:
        """Give the version in which a controller can be used here; nothing is changed by that."""
        if self._second(controller):
            return 2
        return 1 if self._first(controller) else None

    def _second(self, controller: str) -> str | None:
        """Give the nearest group of version 2 that may have groups with that controller."""
        for top, path in self._places(""):
            nearest = path
            while nearest.startswith(top):
                if _offers(nearest, controller):
                    return nearest
                nearest = os.path.dirname(nearest)
        return None

    def _first(self, controller: str) -> str | None:
        for _, path in self._places(controller):
            if os.access(path, os.W_OK):
                return path
        return None

    def _places(self, controller: str) -> list[tuple[str, str]]:
        """Give where the hierarchy with that controller is mounted, and this process's group."""
        found = []
        for _, controllers, own in self._own:
            for kind, options, root, top in self._mounts:
                if controller not in controllers.split(","):
                    continue
                if kind == "cgroup2" if not controller else controller in options:
                    inner = own[len(root) :] if own.startswith(root) else own
                    path = os.path.normpath(f"{top}/{inner}")
                    found.append((top, path if os.path.isdir(path) else top))
        return found


def _offers(path: str, controller: str) -> bool:
    """Tell whether groups that have a controller may be made in a group of version 2.

    One with processes of its own cannot pass on memory, and what it passes CPU on to takes no
    processes (Linux, cgroup-v2.rst, No Internal Process Constraint, Threads). The root may.
    """
    if not (os.access(path, os.W_OK) and os.access(f"{path}/cgroup.procs", os.W_OK)):
        return False
    passed_on = f"{path}/cgroup.subtree_control"
    if controller not in _read(passed_on).split() and not os.access(passed_on, os.W_OK):
        return False
    if controller not in _read(f"{path}/cgroup.controllers").split():
        return False
    is_root = not os.path.exists(f"{path}/cgroup.events")
    return is_root or not _read(f"{path}/cgroup.procs").strip()


def _pass_on(path: str, controller: str) -> bool:
    """Have the groups in a group of version 2 get a controller; tell whether they have it."""
    passed_on = f"{path}/cgroup.subtree_control"
    if controller in _read(passed_on).split():
        return True
    try:
        with open(passed_on, "w", encoding="ascii") as stream:
            stream.write(f"+{controller}")
    except OSError:
        return False
    return True


def _mount(line: str) -> tuple[str, list[str], str, str]:
    """Give kind, options, root and place of a mounted hierarchy (proc(5), mountinfo)."""
    before, _, after = line.partition(" - ")
    fields, (kind, _, options) = before.split(), after.split(maxsplit=2)
    place = fields[4].replace("\\040", " ")
    return kind, options.split(","), "" if fields[3] == "/" else fields[3], place


def _table(path: str) -> dict[str, int]:
    rows = (line.split() for line in _read(path).splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read()
    except OSError:
        return ""
