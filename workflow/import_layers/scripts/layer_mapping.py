"""Names that are to be replaced by others: from the parameter and from a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from stagekit.problems import Problem, StageError

OLD, NEW = "from", "to"
NOWHERE = ""  # a shape whose new name is this is left out


def read_mapping(path: Path) -> dict[str, str]:
    """Read a table with the columns `from` and `to`; an empty `to` leaves the shape out.

    Parameters
    ----------
    path : Path
        ``.csv`` or ``.xlsx``.

    Raises
    ------
    StageError
        If it is no such table, or gives a name two new ones.
    """
    if path.stat().st_size == 0:
        raise StageError("empty_file", f"{path.name} is empty: it has 0 bytes.")
    table = _table(path)
    table.columns = [str(name).strip().lower() for name in table.columns]
    if missing := [name for name in (OLD, NEW) if list(table.columns).count(name) != 1]:
        raise StageError(
            "missing_columns",
            f"{path.name} needs the columns {OLD} and {NEW}, each once; it has"
            f" {', '.join(table.columns) or 'none'} (not, or not once: {', '.join(missing)}).",
        )
    found: dict[str, str] = {}
    problems = []
    pairs = zip(table[OLD].str.strip(), table[NEW].str.strip(), strict=True)
    for row, (old, new) in enumerate(pairs, start=2):
        if not old and not new:
            continue
        if not old or found.get(old, new) != new:
            said = (
                f"{old!r} is to become {found.get(old)!r} and {new!r}." if old else "No old name."
            )
            problems.append(
                Problem("doubled_mapping", said, file=path.name, row=row, field=OLD, value=old)
            )
        found[old] = new
    if problems:
        text = "; ".join(f"row {p.row}: {p.message}" for p in problems[:10])
        raise StageError("doubled_mapping", f"{path.name} is not clear: {text}", problems)
    return found


def _table(path: Path) -> pd.DataFrame:
    try:
        if path.suffix.lower() == ".xlsx":
            return pd.read_excel(path, engine="calamine", dtype=str, keep_default_na=False)
        return pd.read_csv(
            path, dtype=str, keep_default_na=False, sep=None, engine="python", encoding="utf-8-sig"
        )
    except UnicodeDecodeError as error:
        text = f"{path.name} is not written in UTF-8. Save it as “CSV UTF-8”."
        raise StageError("wrong_encoding", text) from error
    except OSError:
        raise
    except Exception as error:  # calamine and the csv reader raise many kinds
        said = str(error).splitlines()
        text = f"{path.name} is no table that can be read: {said[0] if said else error!r}"
        raise StageError("damaged_file", text) from error


def renamed(names: pd.Series, mapping: Mapping[str, str]) -> pd.Series:
    """Give the new names, with None where a shape is to be left out."""
    changed = names.map(lambda name: mapping.get(name, name))
    return changed.map(lambda name: None if name == NOWHERE else name)


def unused(names: pd.Series, mapping: Mapping[str, str]) -> list[str]:
    """Give the old names of the mapping that no shape has."""
    return sorted(set(mapping) - set(names.dropna()))
