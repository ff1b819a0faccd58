"""How long the files of a job are kept once it has ended: policies, and how they are put together.

A policy says for each kind of files (``work``, ``results``, ``logs``) a time such as ``12h``,
``7d``, ``2w`` or ``forever``; what stands under ``failed`` is for failed jobs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = ("work", "results", "logs")
FOREVER = "forever"
_TIME = re.compile(r"([1-9][0-9]{0,4})([hdw])", re.ASCII)
_SECONDS = {"h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}


@dataclass(frozen=True)
class Retention:
    """What is said of the times; a kind that is not named, nothing is said of.

    Attributes
    ----------
    ended : mapping of str to str
        Time by kind, for every job that has ended.
    failed : mapping of str to str
        Time by kind, for those that failed.
    """

    ended: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: object, where: str = "retention") -> Retention:
        """Read a policy.

        Parameters
        ----------
        text : object
            As it stands in a YAML file: ``{work: 7d, failed: {work: 30d}}``; None says nothing.
        where : str
            Name of the place, or JSON pointer to it, for the message.

        Raises
        ------
        ValueError
            Naming what is wrong, and what is possible.
        """
        given = dict(_mapping(text, where))
        inner = _join(where, "failed")
        failed = _times(_mapping(given.pop("failed", None), inner), inner)
        return cls(_times(given, where, "failed"), failed)

    def over(self, general: Retention) -> Retention:
        """Give this policy with what it does not say taken from a more general one."""
        return Retention({**general.ended, **self.ended}, {**general.failed, **self.failed})

    def time(self, kind: str, *, failed: bool = False) -> str:
        """Give how long files of a kind are kept: ``forever`` if nothing is said of them.

        Files of a failed job are never kept shorter than those of others.
        """
        time = self.ended.get(kind, FOREVER)
        if failed and kind in self.failed:
            return max(time, self.failed[kind], key=_length)
        return time

    def as_dict(self) -> dict[str, Any]:
        """Give it as `parse` takes it."""
        return {**self.ended, **({"failed": dict(self.failed)} if self.failed else {})}


def seconds(time: str) -> int | None:
    """Give the seconds of a time; None for ``forever``.

    Raises
    ------
    ValueError
        If it is none.
    """
    if time == FOREVER:
        return None
    match = _TIME.fullmatch(time)
    if match is None:
        raise ValueError(f"{time!r} is no time such as 12h, 7d, 2w or forever")
    return int(match[1]) * _SECONDS[match[2]]


def _length(time: str) -> float:
    found = seconds(time)
    return float("inf") if found is None else found


def _join(where: str, key: str) -> str:
    """Give the name of a place in another: a JSON pointer, if that is one."""
    return f"{where}/{key}" if where.startswith("/") else f"{where}.{key}"


def _mapping(text: object, where: str) -> Mapping[str, object]:
    if text is None:
        return {}
    if not isinstance(text, Mapping):
        raise ValueError(f"{where}: {text!r} is no mapping such as {{work: 7d, results: 90d}}")
    return text


def _times(given: Mapping[str, object], where: str, *further: str) -> dict[str, str]:
    for kind, time in given.items():
        if kind not in KINDS:
            known = ", ".join((*KINDS, *further))
            raise ValueError(f"{where}: unknown key {kind!r}; there are: {known}")
        try:
            seconds(time if isinstance(time, str) else repr(time))
        except ValueError as error:
            raise ValueError(f"{_join(where, kind)}: {error}") from error
    return {kind: str(time) for kind, time in given.items()}


# Of a job type that says nothing itself: only what stages hand to each other goes.
DEFAULT = Retention(
    {"work": "7d", "results": FOREVER, "logs": FOREVER},
    {"work": "30d"},
)
