"""Meta indicators from JSON: a list of records, or one record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from meta_rows import INDEX, Rows, whole_version
from readkit.unpack import Source
from stagekit.problems import Problem, StageError

_INT64 = range(-(2**63), 2**63)
_FORM = 'Write a list of records: [{"model": "m", "scenario": "s", "Category": "C1"}, …].'


def is_json(source: Source) -> bool:
    """Tell whether a file of text is JSON: by its name, else by its first character."""
    if source.name.lower().removesuffix(".gz").endswith(".json"):
        return True
    with source.path.open("rb") as stream:
        head = stream.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    return head[:1] in (b"[", b"{")


def read_json(source: Source) -> Rows:
    """Read records; rows count records from 1, and values keep the types that they have.

    Raises
    ------
    StageError
        ``broken_json`` or ``no_data``.
    """
    try:
        text = source.path.read_text(encoding="utf-8-sig")
        document = json.loads(text, object_pairs_hook=_Record)
    except UnicodeDecodeError as error:
        raise StageError("broken_json", f"{source.name} is not UTF-8. Save it as such.") from error
    except json.JSONDecodeError as error:
        what = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise StageError("broken_json", f"{source.name} is no JSON: {what}.") from error
    except (RecursionError, ValueError) as error:
        raise StageError("broken_json", f"{source.name} is no JSON: {error}. {_FORM}") from error
    records = [document] if isinstance(document, _Record) else document
    if not isinstance(records, list) or not all(isinstance(r, _Record) for r in records):
        raise StageError("broken_json", f"{source.name} holds no records. {_FORM}")
    if not records:
        raise StageError("no_data", f"{source.name} holds an empty list: there is nothing to do.")
    rows = Rows(source.name, None, 0)
    for number, record in enumerate(records, start=1):
        _add(rows, number, record.pairs)
    return rows


class _Record:
    """An object of JSON with its names as they stand there, doubled ones too."""

    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        self.pairs = pairs


def _add(rows: Rows, number: int, pairs: Sequence[tuple[str, Any]]) -> None:
    named: dict[str, Any] = {}
    for key, value in pairs:
        name = key.strip().lower() if key.strip().lower() in INDEX else key.strip()
        if name in named:
            text = f"Record {number} has {name!r} twice: keep one."
            rows.problems.append(_problem(rows, "doubled_meta_column", text, number, name))
        named.setdefault(name, value)
    missing = [name for name in INDEX[:2] if name not in named]
    if missing:
        text = f"Record {number} has no {' and no '.join(missing)}."
        rows.problems.append(_problem(rows, "wrong_meta_columns", text, number, missing[0]))
        return
    model, scenario, version = (named.pop(name, None) for name in INDEX)
    names = {"model": model, "scenario": scenario}
    for name, value in names.items():
        if value is not None and not isinstance(value, str):
            text = f"The {name} of record {number} is no text but {json_shown(value)}."
            rows.problems.append(_problem(rows, "wrong_name", text, number, name))
            return
    rows.add(number, model, scenario, whole_version(version))
    for name, value in named.items():
        if value is None:
            continue
        if _broken(name):
            text = f"The name {json_shown(name)} holds half a character: correct it."
            rows.problems.append(_problem(rows, "illegal_meta_key", text, number, json_shown(name)))
        elif fault := _fault(value):
            text = f"The value of {name!r} {fault}."
            found = _problem(rows, "illegal_meta_value", text, number, name, json_shown(value))
            rows.problems.append(found)
        else:
            rows.set(number, name, value)


def _fault(value: object) -> str | None:
    if isinstance(value, (list, _Record)):
        return "is a list or an object: only text, numbers and true or false can be stored"
    if type(value) is int and value not in _INT64:
        return "is too large: whole numbers are stored with 32 bits"
    if isinstance(value, str) and _broken(value):
        return "holds half a character (a lone surrogate), which cannot be stored"
    return None


def _broken(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def json_shown(value: object) -> str:
    """Write a value as JSON, cut to a length that fits into a message."""
    text = json.dumps(value, default=lambda record: dict(record.pairs))
    return text if len(text) <= 200 else text[:200] + "…"


def _problem(
    rows: Rows, code: str, message: str, number: int, field: str, value: str | None = None
) -> Problem:
    return Problem(code, message, file=rows.file, row=number, field=field, value=value)
