"""Names that a processing repository's definitions do not know: an early note, never more.

What the definitions allow is for the repository's own code to say. They are read lightly here
(nomenclature's YAML: codes, tags, wildcards); what is not understood is passed over in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from stagekit.nearest import did_you_mean
from stagekit.problems import Problem

from checking.names import Nearest, names_of, rows_by_name
from checking.submission import Submission

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = re.compile(r"\\\{.*?\\\}|\\\*")


class NotUnderstood(Exception):
    """A definition that is not of the usual form."""


def definition_notes(submission: Submission, checkout: Path) -> Iterator[Problem]:
    """Give one note for each region and variable that the definitions do not name.

    Parameters
    ----------
    submission : Submission
        The data.
    checkout : Path
        The processing repository.
    """
    for field in ("region", "variable"):
        try:
            known = _known(checkout, field)
        except (NotUnderstood, yaml.YAMLError, OSError, UnicodeDecodeError):
            continue
        if known:
            yield from _notes(submission, field, known)


def _notes(submission: Submission, field: str, known: set[str]) -> Iterator[Problem]:
    patterned = [name for name in known if _TAG.search(re.escape(name))]
    pattern = re.compile("|".join(_TAG.sub(".*", re.escape(name)) for name in patterned) or r"(?!)")
    plain = known.difference(patterned)
    unknown = {
        name
        for name in names_of(submission, field)
        if name not in plain and not pattern.fullmatch(name)
    }
    if not unknown:
        return
    nearest = Nearest(plain)
    for name, rows in rows_by_name(submission, field):
        if name in unknown:
            near = nearest(name)
            message = (
                f"The processing repository's definitions do not name the {field} {name!r}: it "
                f"may rename or refuse it.{did_you_mean(near)}"
            )
            yield submission.problem(
                "not_in_definitions",
                message,
                rows,
                field=field,
                value=name,
                severity="note",
                suggestions=near,
            )


def _known(checkout: Path, field: str) -> set[str]:
    """Give the names that the definitions hold; empty if there are none to compare with."""
    _refuse_further_sources(checkout, field)
    folder = checkout / "definitions" / field
    if not folder.is_dir():
        return set()
    known: set[str] = set()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if path.suffix not in (".yaml", ".yml"):
            if path.suffix in (".xlsx", ".csv"):
                raise NotUnderstood(path.name)
        elif not path.name.startswith("tag_"):
            known |= set(_codes(_load(path)))
    if field == "region":
        known |= _native_regions(checkout / "mappings")
    return known


def _load(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 (a safe one)


def _refuse_further_sources(checkout: Path, field: str) -> None:
    """Stop where nomenclature.yaml adds names from elsewhere (repositories, country lists)."""
    path = checkout / "nomenclature.yaml"
    if not path.is_file():
        return
    settings = _load(path)
    if not isinstance(settings, dict):
        raise NotUnderstood(path.name)
    if (settings.get("definitions") or {}).get(field) or settings.get("mappings"):
        raise NotUnderstood(path.name)


def _codes(document: Any) -> Iterator[str]:
    """Give the names in a list of codes; regions are nested once more, by their hierarchy."""
    if not isinstance(document, list):
        raise NotUnderstood(type(document).__name__)
    for entry in document:
        if isinstance(entry, dict) and len(entry) == 1:
            [(name, content)] = entry.items()
            if isinstance(content, list):
                yield from _codes(content)
            else:
                yield str(name)
        elif isinstance(entry, str):
            yield entry
        else:
            raise NotUnderstood(repr(entry))


def _native_regions(folder: Path) -> set[str]:
    """Give the regions that mappings of models rename, aggregate or leave out."""
    if not folder.is_dir():
        return set()
    found: set[str] = set()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if path.suffix not in (".yaml", ".yml"):
            raise NotUnderstood(path.name)
        document = _load(path)
        if not isinstance(document, dict):
            raise NotUnderstood(path.name)
        for key in ("native_regions", "exclude_regions", "common_regions"):
            for entry in document.get(key) or []:
                found |= _region_names(entry)
    return found


def _region_names(entry: Any) -> set[str]:
    """Give every name in an entry of a mapping: ``Name`` or ``{Name: other or [others]}``."""
    if isinstance(entry, dict):
        names = {str(name) for name in entry}
        return names.union(*(_region_names(value) for value in entry.values()))
    if isinstance(entry, list):
        return set().union(*(_region_names(value) for value in entry))
    return {str(entry)}
