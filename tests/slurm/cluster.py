"""A real SLURM on this machine, of several virtual nodes, in a folder of its own."""

from __future__ import annotations

import argparse
import os
import pwd
import signal
from pathlib import Path
from types import TracebackType

import psutil

from tests.slurm import accounting, files
from tests.slurm.commands import ENDED, Commands
from tests.slurm.configuration import Options
from tests.slurm.processes import Daemons, kill, processes_where, program

PROGRAMS = {
    "slurm-wlm": ("slurmctld", "slurmd", "sbatch"),
    "munge": ("munged",),
    "slurmdbd": ("slurmdbd",),
    "mariadb-server": ("mariadbd", "mariadb-install-db"),
}


def missing(*, with_accounting: bool = False) -> list[str]:
    """Name the Debian packages that are not installed."""
    wanted = list(PROGRAMS)[: 4 if with_accounting else 2]
    return [name for name in wanted if not all(program(one) for one in PROGRAMS[name])]


class Cluster(Commands):
    """Starts, changes and ends a cluster; nothing of it is left behind but its files.

    Parameters
    ----------
    folder
        A short path (sockets allow 107 characters). What an earlier cluster left there goes.
    options
        How the cluster is to be.
    bound
        The daemons end with the thread that started them, even if that is killed.
    """

    def __init__(self, folder: Path, options: Options | None = None, *, bound: bool = True) -> None:
        self.options = options or Options()
        self.daemons = Daemons(folder.resolve(), self.options.user, bound)

    @classmethod
    def load(cls, folder: Path) -> Cluster:
        """Give the cluster that another process started in this folder."""
        return cls(folder, files.read(folder), bound=False)

    def __enter__(self) -> Cluster:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.stop()

    def start(self) -> None:
        """Start everything and wait until all nodes are ready; undo it if something fails."""
        if (self.folder / "cluster.json").exists():
            Cluster.load(self.folder).stop()
        files.write(self.folder, self.options)
        try:
            self._start_munged()
            if self.options.accounting:
                self._start_accounting()
            self.daemons.start("slurmctld", "slurmctld", "-D", env=self.environment)
            for name in self.options.names:
                self.start_node(name)
            self.daemons.until("slurmctld", self.answers)
            self.wait_until(self.ready, what="all nodes are idle")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End everything; files and logs stay."""
        if not (self.folder / "pids").is_dir():
            return
        self.daemons.stop("slurmctld")  # first: it would start the next jobs meanwhile
        for name in self.options.names:
            self.kill_node(name)
        for name in reversed(self.daemons.names()):
            self.daemons.stop(name)
        if self.options.cgroups:
            files.remove_cgroups(self.options.names)

    def ready(self) -> bool:
        """Say whether all nodes wait for jobs."""
        return set(self.node_states().values()) == {"idle"}

    def kill_node(self, name: str, *, steps: bool = True) -> None:
        """Kill a node as if its machine went; without `steps`, what runs on it goes on."""
        self.daemons.stop(name, signal.SIGKILL)
        if steps:
            # The keepers of steps first: they would still tell the controller of a job's end.
            kill(self.keepers(name))
            kill(self.programs(name))

    def start_node(self, name: str) -> None:
        """Start a node; it needs a moment until the controller gives it jobs."""
        # Its keepers of steps hide their environment: they are known by this folder.
        folder = f"spool-{name}"
        self.daemons.start(name, "slurmd", "-D", "-N", name, env=self.environment, cwd=folder)

    def keepers(self, node: str) -> list[psutil.Process]:
        """Find the slurmstepd of a node."""
        folder = str(self.folder / f"spool-{node}")
        return list(processes_where(lambda p: p.name() == "slurmstepd" and p.cwd() == folder))

    def programs(self, node: str) -> list[psutil.Process]:
        """Find the programs of jobs on a node."""
        wanted = {**self.environment, "SLURMD_NODENAME": node}.items()
        return list(processes_where(lambda p: wanted <= p.environ().items()))

    def reset(self) -> None:
        """Make a cluster that tests share as it was: everything runs, and no job is left."""
        if not self.answers():
            self.start_controller()
        for name in self.options.names:
            if self.daemons.process(name) is None:
                self.start_node(name)
        left = [job["id"] for job in self.jobs() if job["state"] not in ENDED]
        if left:
            self.run("scancel", *left)
        self.wait_until(self._resumed, what="all nodes are idle")

    def _resumed(self) -> bool:
        for name, state in self.node_states().items():
            if state.startswith(("down", "drain")):  # refused if it has come back just now
                self.run("scontrol", "update", f"nodename={name}", "state=resume", check=False)
        return self.ready()

    def stop_controller(self) -> None:
        """End the controller; it keeps its state."""
        self.daemons.stop("slurmctld")

    def start_controller(self) -> None:
        """Start the controller again and wait until it answers."""
        self.daemons.start("slurmctld", "slurmctld", "-D", env=self.environment)
        self.daemons.until("slurmctld", self.answers)

    def _start_munged(self) -> None:
        munge, socket = self.folder / "munge", self.folder / "munge.socket"
        self.daemons.start(
            "munged", "munged", "--foreground", "--force",  # forced: groups may write above it
            f"--socket={socket}", f"--key-file={munge}/key", f"--seed-file={munge}/seed",
            f"--pid-file={munge}/pid", f"--log-file={munge}/log",
        )  # fmt: skip
        self.daemons.until("munged", socket.is_socket)

    def _start_accounting(self) -> None:
        accounting.start_database(self.daemons, self.options.account)
        accounting.start_slurmdbd(self.daemons, self.environment)
        users = (self.options.account, pwd.getpwuid(os.geteuid()).pw_name)
        accounting.add_accounts(self.daemons, users, self.environment)


def main() -> None:
    """Start a cluster that outlives this command, or end it."""
    parser = argparse.ArgumentParser(prog="python -m tests.slurm.cluster", description=__doc__)
    parser.add_argument("action", choices=["up", "down"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--accounting", action="store_true", help="slurmdbd, accounts and limits")
    parser.add_argument("--cgroups", action="store_true", help="memory is limited by cgroups")
    given = parser.parse_args()
    running = (given.folder / "cluster.json").exists()
    if given.action == "down":
        if running:
            Cluster.load(given.folder).stop()
        return
    if running and Cluster.load(given.folder).answers():
        print(f"# it runs already\nexport SLURM_CONF={given.folder.resolve()}/slurm.conf")
        return
    if absent := missing(with_accounting=given.accounting):
        parser.exit(1, f"Install Debian's packages: {' '.join(absent)}\n")
    options = Options(given.nodes, accounting=given.accounting, cgroups=given.cgroups)
    Cluster(given.folder, options, bound=False).start()
    print(f"export SLURM_CONF={given.folder.resolve()}/slurm.conf")


if __name__ == "__main__":
    main()
