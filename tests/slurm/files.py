"""The folder of a cluster: its configuration, and what else its daemons expect."""

from __future__ import annotations

import json
import os
import pwd
import random
import secrets
import shutil
import socket
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from tests.slurm.configuration import Options, slurm_conf
from tests.slurm.processes import until

CGROUPS = Path("/sys/fs/cgroup")
LONGEST = 60  # of sockets' 107 characters; the rest is `spool-n1/n1_4294967295.4294967295`


def write(folder: Path, options: Options) -> None:
    """Make the folder anew; only a folder of a cluster is emptied."""
    if len(str(folder)) > LONGEST:
        raise ValueError(f"{folder} is too long for sockets: give one of {LONGEST} characters")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "cluster.json").is_file():
        raise ValueError(f"{folder} has files that are not of a cluster")
    for old in folder.glob("*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    for name in ("log", "pids", "munge", "state", "work", *(f"spool-{n}" for n in options.names)):
        (folder / name).mkdir(parents=True)
    for name, text in _texts(folder, options).items():
        (folder / name).write_text(text)
    for name in ("slurmdbd.conf", "munge/key"):
        (folder / name).chmod(0o600)
    (folder / "munge").chmod(0o700)
    folder.chmod(0o755)
    if options.user:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, options.user, pwd.getpwnam(options.user).pw_gid)


def read(folder: Path) -> Options:
    """Give the options with which the folder was made."""
    return Options(**json.loads((folder / "cluster.json").read_text()))


def _texts(folder: Path, options: Options) -> dict[str, str]:
    ports = _free_ports(options.nodes + 2)
    texts = {
        "cluster.json": json.dumps(asdict(options)),
        "slurm.conf": slurm_conf(folder, options, ports),
        # Pretended GPUs: any device will do as long as no job opens it.
        "gres.conf": "".join(
            f"NodeName={options.names[0]} Name=gpu File=/dev/{name}\n" for name in ("null", "zero")
        ),
        "slurmdbd.conf": _slurmdbd_conf(folder, options, ports[1]),
        "munge/key": secrets.token_hex(64),
    }
    if options.cgroups:
        texts["cgroup.conf"] = _cgroup_conf()
    return texts


def _slurmdbd_conf(folder: Path, options: Options, port: int) -> str:
    """Its database listens on a socket that the environment names, see ``accounting``."""
    return f"""\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost=localhost
DbdPort={port}
PidFile={folder}/slurmdbd.pid
SlurmUser={options.account}
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser={options.account}
StorageLoc=slurm_acct
"""


def _cgroup_conf() -> str:
    plugin = "cgroup/v2\nIgnoreSystemd=yes" if _second_version() else "cgroup/v1"
    return f"CgroupPlugin={plugin}\nConstrainRAMSpace=yes\nAllowedRAMSpace=100\n"


def _second_version() -> bool:
    return (CGROUPS / "cgroup.controllers").exists()


def without_cgroups() -> str | None:
    """Say why memory cannot be limited by cgroups here, if so."""
    if os.geteuid() != 0:
        return "only root makes cgroups"
    probe = (CGROUPS if _second_version() else CGROUPS / "memory") / "jobrunner-probe"
    try:
        probe.mkdir()
        if not any(probe.glob("memory.*")):
            return f"{probe.parent} does not limit memory"
    except OSError as error:
        return f"no cgroup of memory can be made: {error}"
    finally:
        with suppress(OSError):
            probe.rmdir()
    return None


def remove_cgroups(nodes: list[str]) -> None:
    """Remove the cgroups that nodes made, once what was killed in them is gone."""
    tops = [
        top
        for node in nodes
        for pattern in (f"*/slurm_{node}", f"*/{node}_slurmstepd.scope")
        for top in CGROUPS.glob(pattern)
    ]
    folders = [f for top in tops for f in (top, *(p for p in top.rglob("*") if p.is_dir()))]

    def gone() -> bool:
        for folder in sorted(folders, reverse=True):
            with suppress(OSError):
                folder.rmdir()
        return not any(folder.exists() for folder in folders)

    until(gone, "the nodes' cgroups are empty")


def _free_ports(count: int) -> list[int]:
    """Find free ports below those that the system hands out: nobody gets them meanwhile."""
    free: list[int] = []
    for port in random.sample(range(20_000, 32_000), 12_000):
        with suppress(OSError), socket.socket() as one:
            one.bind(("127.0.0.1", port))
            free.append(port)
        if len(free) == count:
            return free
    raise OSError("no free ports")
