"""What an attempt and its stages may take: cores, memory, wall time, disk, graphics processors.

A job type declares what it needs, a profile and a request may say otherwise, and the limits of the
profile and the caps of an instance bound all of that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runner.errors import InvalidRequest
from runner.jobtype import JobType
from runner.profile import Profile

NAMES = ("cores", "mem_mb", "runtime", "disk_mb", "gpu")
_MOST = 1e12  # of anything; what JSON of Python calls Infinity is more
_UNITS = {"mem_mb": " MB of memory", "runtime": " minutes", "disk_mb": " MB on disk"}


@dataclass(frozen=True)
class Plan:
    """What an attempt may take, as a whole and stage by stage; what is absent has no limit.

    Attributes
    ----------
    attempt : mapping
        ``cores``, ``mem_mb`` (MB), ``runtime`` (minutes), ``disk_mb`` (MB), ``gpu`` together.
    stages : mapping
        The same for each stage by the name of its rule.
    declared : mapping
        Of these, what is said of that stage itself and not of the whole.
    whole : mapping
        What a stage may take of which nothing is said.
    """

    attempt: Mapping[str, Any]
    stages: Mapping[str, Mapping[str, Any]]
    declared: Mapping[str, Mapping[str, Any]]
    whole: Mapping[str, Any]


def resolve(
    job_type: JobType,
    profile: Profile,
    asked: Mapping[str, Any] | None = None,
    caps: Mapping[str, Any] | None = None,
) -> Plan:
    """Put together what a job gets: the narrowest of what is said of the whole, cut to the bounds.

    Parameters
    ----------
    job_type : JobType
        Declares the defaults.
    profile : Profile
        Its ``types`` go before them; its ``limits`` are the whole's default, and a bound.
    asked : mapping, optional
        What was asked for: ``{"mem_mb": 8000, "stages": {"solve": {"mem_mb": 32000}}}``.
    caps : mapping, optional
        Bounds of the instance.
    """
    asked, bounds = asked or {}, _bounds(profile, caps)
    of_type = profile.types.get(job_type.name, {})
    whole = {**job_type.resources, **profile.limits, **_numbers(of_type), **_numbers(asked)}
    declared = {
        stage.name: _cut(
            {
                **_numbers(stage.resources),
                **_numbers(of_type.get("stages", {}).get(stage.name, {})),
                **_numbers(asked.get("stages", {}).get(stage.name, {})),
            },
            bounds,
        )
        for stage in job_type.stages
    }
    whole = _cut(whole, bounds)
    stages = {name: {**whole, **own} for name, own in declared.items()}
    widest = {
        name: max(own[name] for own in [whole, *declared.values()] if name in own)
        for name in NAMES
        if any(name in own for own in [whole, *declared.values()])
    }
    return Plan({**whole, **widest}, stages, declared, whole)


def check(
    job_type: JobType,
    profile: Profile,
    asked: Mapping[str, Any],
    caps: Mapping[str, Any] | None = None,
    whose: str = "The instance",
) -> None:
    """Check what was asked for; `whose` says for people of whom the caps are.

    Raises
    ------
    InvalidRequest
        Naming all that is wrong by its JSON pointer: unknown names and stages, what is no number,
        what is above a bound.
    """
    bounds = {f"Profile {profile.name}": profile.limits, whose: caps or {}}
    found = list(_wrong("/resources", asked, bounds, {"stages"}))
    found += _wrong_stages(job_type, asked.get("stages", {}), bounds)
    if found:
        problems = [{"pointer": pointer, "message": message} for pointer, message in found]
        raise InvalidRequest("\n".join(message for _, message in found), problems)


def both(first: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, Any]:
    """Put together what was asked for at two times; the later goes before."""
    names = (*first.get("stages", {}), *then.get("stages", {}))
    stages = {
        name: {**first.get("stages", {}).get(name, {}), **then.get("stages", {}).get(name, {})}
        for name in names
    }
    return {**first, **then, **({"stages": stages} if stages else {})}


def told(name: str, value: Any) -> str:
    """Give an amount for people, for example ``4000 MB of memory``."""
    return f"{value:.12g}{_UNITS.get(name, ' ' + name)}"


def _wrong_stages(
    job_type: JobType, stages: Any, bounds: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    if not isinstance(stages, Mapping):
        yield "/resources/stages", f"stages: {stages!r} is no object of stages by their names."
        return
    for name, own in stages.items():
        pointer = f"/resources/stages/{name}"
        if name not in job_type.stage_names:
            known = ", ".join(job_type.stage_names)
            yield pointer, f"{job_type.name} has no stage {name!r}, but {known}."
        elif not isinstance(own, Mapping):
            yield pointer, f"{name}: {own!r} is no object of amounts by their names."
        else:
            yield from _wrong(pointer, own, bounds)


def _wrong(
    pointer: str,
    given: Mapping[str, Any],
    bounds: Mapping[str, Mapping[str, Any]],
    others: set[str] = frozenset(),  # type: ignore[assignment]
) -> Iterator[tuple[str, str]]:
    for name, value in given.items():
        where = f"{pointer}/{name}"
        if name in others:
            continue
        if name not in NAMES:
            yield where, f"There is no resource {name!r}, but {', '.join(NAMES)}."
        elif isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            yield where, f"{name}: {value!r} is no number above 0."
        elif not value <= _MOST:
            yield where, f"{name}: no machine has as much as {value!r}."
        elif name != "runtime" and not isinstance(value, int):
            yield where, f"{name}: {value!r} is no whole number, written without a point."
        else:
            for whose, most in bounds.items():
                if name in most and value > most[name]:
                    asked, bound = told(name, value), told(name, most[name])
                    yield where, f"{whose} allows {bound}; {asked} were asked for."


def _bounds(profile: Profile, caps: Mapping[str, Any] | None) -> dict[str, Any]:
    every = [profile.limits, caps or {}]
    return {
        name: min(bound[name] for bound in every if name in bound)
        for name in NAMES
        if any(name in bound for bound in every)
    }


def _numbers(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: given[name] for name in NAMES if name in given}


def _cut(given: Mapping[str, Any], bounds: Mapping[str, Any]) -> dict[str, Any]:
    return {name: min(value, bounds.get(name, value)) for name, value in given.items()}
