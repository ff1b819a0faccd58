"""Which means this machine has to hold a rule to its memory and its cores."""

from __future__ import annotations

import os

from runner.errors import InvalidConfiguration
from runner.limits.cgroups import Tree

VARIABLE = "JOBRUNNER_LIMITS"
_CHOICES = ("auto", "rlimit", "none")


def chosen() -> str:
    """Give the method that the environment asks for: ``auto``, ``rlimit`` or ``none``.

    Raises
    ------
    InvalidConfiguration
        If it asks for another.
    """
    named = os.environ.get(VARIABLE) or "auto"
    if named not in _CHOICES:
        raise InvalidConfiguration(f"{VARIABLE}={named}: there are {', '.join(_CHOICES)}.")
    return named


def method() -> str:
    """Say by what memory and CPU of a rule are held within their limits here."""
    if chosen() == "none":
        return f"none, because {VARIABLE}=none"
    tree = Tree() if chosen() == "auto" else None
    memory = tree.version("memory") if tree else None
    cpu = tree.version("cpu") if tree else None
    held = f"memory by cgroup v{memory}" if memory else "memory by RLIMIT_DATA of each process"
    return f"{held}, CPU by {f'cgroup v{cpu}' if cpu else 'affinity'}"


def settle() -> None:
    """Make control groups possible for what this process starts, where its own was given to it.

    For processes that have started no other yet; see `Tree.settle`.
    """
    if chosen() == "auto":
        Tree().settle()


def advice() -> str:
    """Say why there is no better method, and how to get it; empty if this is the best."""
    if chosen() != "auto":
        return f"{VARIABLE} says so; without it, control groups are used where they can be had."
    tree = Tree()
    found = {name: tree.version(name) for name in ("memory", "cpu")}
    if lacking := [name for name, version in found.items() if version is None]:
        return (
            f"No control group with the controller {' or '.join(lacking)} may be made below this "
            "process's own. With systemd: Delegate=yes in the unit, see docs/limits.md."
        )
    if first := [name for name, version in found.items() if version == 1]:
        return f"Version 2 of control groups has no controller {' or '.join(first)} here."
    return ""
