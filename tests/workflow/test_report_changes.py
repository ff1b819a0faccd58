"""The comparison of submitted and stored data."""

from __future__ import annotations

import polars as pl
from report_changes import compare

from .report_case import rows

YEAR = ["year"]


def table(*values: tuple[str, str, float]) -> pl.DataFrame:
    """Make a table of (model, region, value)."""
    return rows(*((m, "s", r, "v", "EJ", 2020, value) for m, r, value in values))


def test_a_region_is_renamed_where_its_content_stands_under_a_new_name() -> None:
    before = table(("A", "Asia", 1), ("A", "Europe", 2), ("B", "Asia", 3))
    after = table(("A", "Far East", 1), ("A", "Europe", 2), ("B", "B|Asia", 3))
    found = compare(before, after, YEAR, 5)

    named = [(row["model"], row["from"], row["to"]) for row in found.renames]
    assert named == [("A", "Asia", "Far East"), ("B", "Asia", "B|Asia")]
    assert (found.kept, found.renamed, found.added, found.removed) == (3, 2, 0, 0)


def test_the_name_that_holds_the_old_one_wins_over_an_equal_aggregate() -> None:
    before = table(("A", "Asia", 1))
    after = table(("A", "R5ASIA", 1), ("A", "A|Asia", 1), ("A", "Aall", 1))
    found = compare(before, after, YEAR, 5)

    assert [row["to"] for row in found.renames] == ["A|Asia"]
    assert (found.kept, found.added) == (1, 2)
    assert found.names("added", "regions") == ["Aall", "R5ASIA"]


def test_values_changed_in_a_renamed_region_count_as_changed() -> None:
    before = table(("A", "Asia", 1), ("A", "World", 5))
    after = table(("A", "A|Asia", 10), ("A", "World", 5))
    found = compare(before, after, YEAR, 5)

    assert (found.kept, found.renamed, found.changed) == (1, 0, 1)
    assert [(row["before"], row["after"]) for row in found.values] == [(1, 10)]


def test_a_region_that_stays_was_not_renamed() -> None:
    before = table(("A", "Asia", 1))
    after = table(("A", "Asia", 1), ("A", "World", 1))
    found = compare(before, after, YEAR, 5)

    assert found.renames == []
    assert (found.kept, found.added) == (1, 1)


def test_differences_of_rounding_are_not_changes() -> None:
    before, after = (
        table(("A", "x", 0.1 + 0.2), ("A", "y", 0.0)),
        table(("A", "x", 0.3), ("A", "y", 0.0)),
    )
    assert not compare(before, after, YEAR, 5).any


def test_the_largest_changes_come_first_also_from_zero() -> None:
    before = table(("A", "a", 100), ("A", "b", 1), ("A", "c", 0))
    after = table(("A", "a", 150), ("A", "b", 3), ("A", "c", 7))
    found = compare(before, after, YEAR, 2)

    assert found.changed == 3
    assert [row["region"] for row in found.values] == ["c", "b"]


def test_everything_removed_and_other_data_added_is_told_apart() -> None:
    found = compare(table(("A", "a", 1)), table(("B", "b", 1)), YEAR, 5)
    assert (found.kept, found.added, found.removed) == (0, 1, 1)
    assert found.names("removed", "regions") == ["a"]
