"""The configuration files of a cluster on one machine."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ENFORCE = "associations,limits,qos"


@dataclass(frozen=True)
class Options:
    """How a cluster is to be; `settings` replace or add lines of slurm.conf."""

    nodes: int = 4
    accounting: bool = False
    enforce: bool = True  # with accounting: accounts, limits and QOS are obligatory
    cgroups: bool = False
    user: str | None = None  # the account of all daemons; None: who starts them
    prefix: str = "n"  # of node names; cgroups are named after nodes
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The names of the nodes."""
        return [f"{self.prefix}{n}" for n in range(1, self.nodes + 1)]

    @property
    def account(self) -> str:
        """The user whom the daemons run as."""
        return self.user or pwd.getpwuid(os.geteuid()).pw_name


def slurm_conf(folder: Path, options: Options, ports: list[int]) -> str:
    """Write ``slurm.conf``; `ports` are of the controller, of slurmdbd, then of each node."""
    host = socket.gethostname()
    values = {
        "ClusterName": "test",
        "SlurmctldHost": f"{host}(127.0.0.1)",
        "SlurmctldPort": str(ports[0]),
        "SlurmUser": options.account,
        "SlurmdUser": options.account,
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={folder}/munge.socket",
        "CryptoType": "crypto/munge",
        "MpiDefault": "none",
        "StateSaveLocation": f"{folder}/state",
        "SlurmdSpoolDir": f"{folder}/spool-%n",
        "SlurmctldPidFile": f"{folder}/slurmctld.pid",
        "SlurmdPidFile": f"{folder}/slurmd-%n.pid",
        "SlurmdParameters": "config_overrides",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_CPU_Memory",
        "DefMemPerCPU": "256",
        "SchedulerType": "sched/backfill",
        "SchedulerParameters": "bf_interval=2,sched_min_interval=100000,batch_sched_delay=0",
        "ReturnToService": "2",
        "SlurmctldTimeout": "30",
        "SlurmdTimeout": "15",  # a lost node is noticed in about twice that
        "MessageTimeout": "5",
        "KillWait": "3",
        "MinJobAge": "300",
        "JobRequeue": "0",
        "GresTypes": "gpu",
        "MailProg": "/bin/true",
        **_limits(options),
        **_accounting(folder, options, ports[1]),
        **options.settings,
    }
    lines = [f"{key}={value}" for key, value in values.items()]
    for n, (name, port) in enumerate(zip(options.names, ports[2:], strict=True)):
        more = "Feature=fast Gres=gpu:2" if n == 0 else "Feature=plain"
        lines.append(
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port}"
            f" CPUs=4 RealMemory=4096 {more}"
        )
    lines += [
        "PartitionName=main Nodes=ALL Default=YES MaxTime=60 DefaultTime=10",
        "PartitionName=short Nodes=ALL MaxTime=5 DefaultTime=5",
        "PartitionName=closed Nodes=ALL State=DOWN",
    ]
    if options.accounting:
        lines.append("PartitionName=members Nodes=ALL AllowAccounts=climate")
    return "\n".join(lines) + "\n"


def _limits(options: Options) -> dict[str, str]:
    """What watches the memory of jobs: their cgroup, or a look every second."""
    if options.cgroups:
        return {
            "ProctrackType": "proctrack/cgroup",
            "TaskPlugin": "task/cgroup",
            "JobAcctGatherType": "jobacct_gather/cgroup",
            "JobAcctGatherFrequency": "1",
        }
    return {
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "JobAcctGatherType": "jobacct_gather/linux",
        "JobAcctGatherFrequency": "1",
        "JobAcctGatherParams": "OverMemoryKill",
    }


def _accounting(folder: Path, options: Options, port: int) -> dict[str, str]:
    if not options.accounting:
        return {"AccountingStorageType": "accounting_storage/none"}
    return {
        "AccountingStorageType": "accounting_storage/slurmdbd",
        "AccountingStorageHost": "localhost",
        "AccountingStoragePort": str(port),
        "AccountingStoragePass": f"{folder}/munge.socket",
        "AccountingStorageEnforce": ENFORCE if options.enforce else "none",
        "AccountingStoreFlags": "job_comment",
        "PriorityType": "priority/multifactor",
        "PriorityWeightQOS": "10000",
    }
