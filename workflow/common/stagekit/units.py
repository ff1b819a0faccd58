"""Unit names as a platform stores them. Needs nothing but Python."""

from __future__ import annotations

from stagekit.problems import Problem

DIMENSIONLESS = "dimensionless"  # refused by ixmp4, which wants an empty string instead


def for_platform(unit: str) -> str:
    """Give the name under which a platform stores `unit`.

    Parameters
    ----------
    unit : str
        As the submitter or the processing repository wrote it.

    Returns
    -------
    str
        ``""`` for ``"dimensionless"``, else the same name.
    """
    return "" if unit == DIMENSIONLESS else unit


def stored_differently(count: int) -> Problem:
    """Give the warning that `count` datapoints change their unit from dimensionless to empty."""
    return Problem(
        code="dimensionless_unit",
        message="The unit 'dimensionless' is stored as an empty unit, as ixmp4 wants it.",
        severity="warning",
        field="unit",
        value=DIMENSIONLESS,
        count=count,
    )
