"""By what a command is held within its memory and its cores."""

from __future__ import annotations

import os
import resource

from runner.limits.cgroups import Group, Tree
from runner.limits.kernel import MB
from runner.limits.settings import Settings


class Confinement:
    """Control groups where they can be had, else limits of the processes.

    Parameters
    ----------
    settings : Settings
        What the command may take.

    Attributes
    ----------
    memory : Group or None
        Holds the memory.
    by : str
        ``cgroup v2``, ``cgroup v1``, ``rlimit`` or ``none``: what holds the memory.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._groups: list[Group] = []
        self._cpus: set[int] = set()
        self.memory: Group | None = None
        self.by = "none"
        if settings.method == "none":
            return
        tree = Tree() if settings.method == "auto" else None
        if settings.mem_mb is not None:
            self._hold_memory(tree, settings.mem_mb)
        if settings.cores is not None:
            self._hold_cpu(tree, settings.cores)

    @property
    def groups(self) -> list[str]:
        """Folders of its control groups."""
        return [group.path for group in self._groups]

    def enter(self) -> None:
        """Put this process, which is about to become the command, under it.

        Raises
        ------
        OSError
            If the kernel refuses.
        """
        for group in self._groups:
            group.enter()
        if self._cpus:
            os.sched_setaffinity(0, self._cpus)
        if self.by == "rlimit" and self._settings.mem_mb is not None:
            size = int(self._settings.mem_mb * MB)
            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            size = size if hard == resource.RLIM_INFINITY else min(size, hard)
            resource.setrlimit(resource.RLIMIT_DATA, (size, size))

    def remove(self) -> bool:
        """Remove its control groups, whose processes must have ended; tell whether all are gone."""
        return all([group.remove() for group in self._groups])

    def _hold_memory(self, tree: Tree | None, mem_mb: float) -> None:
        group = tree.make("memory") if tree else None
        if group is not None:
            try:
                group.limit_memory(mem_mb)
            except OSError:
                group.remove()
            else:
                self._groups.append(group)
                self.memory, self.by = group, f"cgroup v{group.version}"
                return
        self.by = "rlimit"

    def _hold_cpu(self, tree: Tree | None, cores: float) -> None:
        allowed = sorted(os.sched_getaffinity(0))
        if cores >= len(allowed):
            return
        if tree and self._hold_cpu_by_group(tree, cores):
            return
        first = os.getpid() % len(allowed)  # rules beside each other rarely begin at the same core
        self._cpus = set((allowed * 2)[first : first + max(1, int(cores))])

    def _hold_cpu_by_group(self, tree: Tree, cores: float) -> bool:
        """Bound it by a group; of version 2 a process can be in one only."""
        second = self.memory if self.memory and self.memory.version == 2 else None
        if second is not None and not tree.extend(second, "cpu"):
            return False
        group = second or tree.make("cpu")
        if group is None:
            return False
        try:
            group.limit_cpu(cores)
        except OSError:
            if group is not second:
                group.remove()
            return False
        if group is not second:
            self._groups.append(group)
        return True
