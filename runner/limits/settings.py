"""What one rule may take, as the stage shell reads it from its folder."""

from __future__ import annotations

import os

from runner.limits import flat

FILE = "limits.json"


class Settings:
    """What a rule may take; None has no limit.

    Parameters
    ----------
    folder : str
        Of the rule, in that of the attempt: ``<job>/attempts/<n>/stages/<rule>``.

    Attributes
    ----------
    rule : str
        Its name.
    job : str
        The job directory.
    enforce : bool
        Whether that is seen to here; else only what it used is noted down.
    method : str
        ``auto``, or ``rlimit`` or ``none`` where control groups are not to be used.
    cores, mem_mb, runtime, disk_mb : float or None
        CPUs, memory (2²⁰ bytes), minutes, disk (10⁶ bytes).
    tmpdir : str
        Where temporary folders go.

    Raises
    ------
    OSError, ValueError
        If there is no such file, or something else in it.
    """

    def __init__(self, folder: str) -> None:
        given = flat.read(f"{folder}/{FILE}")
        self.folder = folder
        self.rule = str(given.get("rule") or "")
        self.job = os.path.abspath(f"{folder}/../../../..")
        self.enforce = bool(given.get("enforce"))
        self.method = str(given.get("method") or "auto")
        self.cores, self.mem_mb, self.runtime, self.disk_mb = (
            _number(given.get(name)) if self.enforce else None
            for name in ("cores", "mem_mb", "runtime", "disk_mb")
        )
        self.tmpdir = str(given.get("tmpdir") or "")


def _number(value: flat.Value) -> float | None:
    return value if isinstance(value, float) else None
