"""What SLURM's states mean, and which reasons to wait go away by themselves."""

from __future__ import annotations

import re

# squeue's long names; COMPLETING hides what the end will be called.
WAITING = frozenset(
    {"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD"}
)
ALIVE = frozenset(
    {"RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "RESIZING"}
    | {"STAGE_OUT", "REVOKED"}
)
# Not the command's doing: it may be submitted again.
LOST = {
    "NODE_FAIL": "its node failed",
    "BOOT_FAIL": "its node did not boot",
}
PREEMPTED = "PREEMPTED"  # nobody's failure: it waits for a place again, as it did before

# A pattern of the reason, and what is to be done. What is in no list waits as long as it takes.
_NEVER = [
    (r"PartitionTimeLimit", "ask for less wall time (runtime), or take another partition"),
    (r"PartitionConfig", "no node of the partition has that many processors, or so much memory"),
    (r"BadConstraints", "no node has all of what is asked for (constraint, gres, memory)"),
    (r"InvalidAccount|InvalidAssoc|AccountNotAllowed", "take another account"),
    (r"InvalidQOS|QOSNotAllowed", "take another QOS"),
    (r"(account|group|QOS|user).*not permitted to use this (partition|QOS)",
     "take another partition or account"),
    (r"MaxMemPerLimit", "ask for less memory"),
    (r"(QOS|Assoc)(Max|Min)Cpu\w*Per(Job|Node)\w*|QOSMinCpuNotSatisfied",
     "ask for another number of cores, or take another QOS or account"),
    (r"(QOS|Assoc)(Max|Min)Mem\w*Per(Job|Node)\w*|QOSMinMemory",
     "ask for another amount of memory, or take another QOS or account"),
    (r"(QOS|Assoc)MaxWallDurationPerJobLimit",
     "ask for less wall time (runtime), or take another QOS or account"),
    (r"(QOS|Assoc)(Max|Min)\w+(PerJob|PerNode)\w*|(QOS|Assoc)Min\w+",
     "ask for less, or take another QOS or account"),
    (r"Deadline|DeadLine", "its deadline cannot be met any more"),
    (r"ReservationDeleted|RESV_DEL_HOLD", "the reservation is gone: take another, or none"),
    (r"DeadLine", "ask for less wall time (runtime), or a later deadline (slurm extra)"),
    (r"DependencyNeverSatisfied", "it waits for a job that failed (slurm extra)"),
]  # fmt: skip

_NODES_AWAY = r"ReqNodeNotAvail|Nodes required for job are DOWN|NodeDown|PartitionNodeLimit"

# What people should know about reasons that do go away.
_EXPLAINED = [
    (r"JobHeldUser", "held by its owner: scontrol release JOB lets it go on"),
    (r"JobHeldAdmin|JobHoldMaxRequeue|launch failed requeued held",
     "held: an operator of the cluster has to release it"),
    (r"PartitionNodeLimit", "more nodes than the partition allows, or its nodes are away"),
    (_NODES_AWAY, "nodes are away"),
    (r"PartitionDown|PartitionInactive", "the partition takes no jobs at the moment"),
    (r"AssocGrp\w*|QOSGrp\w*", "the account or QOS, all its users together, has reached its limit"),
    (r"(QOS|Assoc)Max\w*", "a limit of the account or QOS is reached"),
    (r"Reservation", "its reservation has not begun"),
]  # fmt: skip


def advice(reason: str) -> str | None:
    """Say what is to be done about a reason that never goes away; None if it does.

    Parameters
    ----------
    reason : str
        As squeue prints it (``%r``), for example ``PartitionTimeLimit``.
    """
    return _first(_NEVER, reason)


def wants_nodes(reason: str) -> bool:
    """Tell whether there may be no reason to wait if some nodes had not been excluded."""
    return advice(reason) is not None or re.search(_NODES_AWAY, reason) is not None


def explained(reason: str) -> str:
    """Give a reason to wait with a few words for whoever does not know SLURM's."""
    known = _first(_EXPLAINED, reason)
    return f"{reason} ({known})" if known else reason


def _first(table: list[tuple[str, str]], reason: str) -> str | None:
    return next((text for pattern, text in table if re.search(pattern, reason)), None)
