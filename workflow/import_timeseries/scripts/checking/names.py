"""Names of regions and units against those of the platform."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import polars as pl
from rapidfuzz import fuzz, process, utils
from stagekit.nearest import did_you_mean
from stagekit.platform_names import PlatformNames
from stagekit.problems import Problem
from stagekit.units import for_platform

from checking.submission import Submission

SUGGESTIONS = 3
NEAR_ENOUGH = 60.0  # per cent of likeness
HELPED = 500  # names of a dimension that get suggestions; beyond, it is the wrong list altogether


class Nearest:
    """Finds the valid names that look most like another; case does not matter.

    Parameters
    ----------
    valid : collection of str
        The valid names.
    """

    def __init__(self, valid: Collection[str]) -> None:
        self._names = sorted(valid)
        self._folded = [name.casefold() for name in self._names]
        self._words = [utils.default_process(name) for name in self._names]
        self._left = HELPED

    def __call__(self, name: str) -> tuple[str, ...]:
        """Give at most `SUGGESTIONS` names, best first."""
        self._left -= 1
        if self._left < 0:
            return ()
        found = process.extract(
            name.casefold(),
            self._folded,
            scorer=fuzz.ratio,
            limit=SUGGESTIONS,
            score_cutoff=NEAR_ENOUGH,
        )
        words = utils.default_process(name)
        if not found and words:  # part of a longer name
            scorer = fuzz.token_set_ratio
            found = process.extract(
                words, self._words, scorer=scorer, limit=SUGGESTIONS, score_cutoff=90
            )
        return tuple(self._names[place] for _, _, place in found)


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
    nearest = Nearest(known)
    for name, rows in rows_by_name(submission, field):
        if name not in unknown:
            continue
        if create:
            message = f"The {field} {name!r} is new to the platform: it will be created."
            yield submission.problem(
                f"new_{field}", message, rows, field=field, value=name, severity="note"
            )
            continue
        near = nearest(name)
        message = f"The {field} {name!r} does not exist on the platform.{did_you_mean(near)}"
        yield submission.problem(
            f"unknown_{field}", message, rows, field=field, value=name, suggestions=near
        )
