"""Names of regions and units against those of the platform."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import polars as pl
from rapidfuzz import fuzz, process, utils
from stagekit.platform_names import PlatformNames
from stagekit.problems import Problem
from stagekit.units import for_platform

from checking.submission import Submission

SUGGESTIONS = 3
NEAR_ENOUGH = 60.0  # per cent of likeness


def nearest(name: str, valid: Collection[str]) -> tuple[str, ...]:
    """Give the valid names that look most like `name`, best first; case does not matter."""
    found = process.extract(
        name,
        sorted(valid),
        scorer=fuzz.ratio,
        processor=str.casefold,
        limit=SUGGESTIONS,
        score_cutoff=NEAR_ENOUGH,
    )
    if not found and utils.default_process(name):  # a word of a longer name
        found = process.extract(
            name,
            sorted(valid),
            scorer=fuzz.token_set_ratio,
            processor=utils.default_process,
            limit=SUGGESTIONS,
            score_cutoff=90,
        )
    return tuple(match[0] for match in found)


def rows_by_name(submission: Submission, field: str) -> Iterator[tuple[str, list[int]]]:
    """Give each name of a dimension with the rows where it stands, in the order of the file."""
    names = submission.data.lazy().filter(pl.col(field).is_not_null()).group_by(field)
    rows = names.agg(pl.col("row").unique().sort()).sort(pl.col("row").list.first())
    yield from rows.collect().iter_rows()


def names_of(submission: Submission, field: str) -> list[str]:
    """Give the distinct names of a dimension."""
    return submission.data[field].drop_nulls().unique().to_list()


def platform_problems(
    submission: Submission, platform: PlatformNames, *, create: bool
) -> Iterator[Problem]:
    """Give one problem for each region and unit that the platform does not know.

    Parameters
    ----------
    submission : Submission
        The data.
    platform : PlatformNames
        What is known.
    create : bool
        Unknown names will be created: say so in notes only.
    """
    for field, known, stored in (
        ("region", platform.regions, str),
        ("unit", platform.units, for_platform),
    ):
        unknown = {name for name in names_of(submission, field) if stored(name) not in known}
        yield from unknown_names(submission, field, unknown, known, create=create)


def unknown_names(
    submission: Submission,
    field: str,
    unknown: Collection[str],
    known: Collection[str],
    *,
    create: bool,
) -> Iterator[Problem]:
    """Describe the names of one dimension that are not known to the platform."""
    if not unknown:
        return
    for name, rows in rows_by_name(submission, field):
        if name not in unknown:
            continue
        if create:
            message = f"The {field} {name!r} is new to the platform: it will be created."
            yield submission.problem(
                f"new_{field}", message, rows, field=field, value=name, severity="note"
            )
            continue
        near = nearest(name, known)
        message = f"The {field} {name!r} does not exist on the platform.{did_you_mean(near)}"
        yield submission.problem(
            f"unknown_{field}", message, rows, field=field, value=name, suggestions=near
        )


def did_you_mean(near: Sequence[str]) -> str:
    """Write suggestions as a sentence."""
    if not near:
        return ""
    shown = [repr(name) for name in near]
    return f" Did you mean {' or '.join(shown)}?"
