"""What stage read left behind, for the stages that talk to a platform."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from meta_submission import Row, Submission
from stagekit.problems import StageError

_KINDS = ("truth", "whole", "number", "text")


def load(rows: Path, values: Path, source: Path) -> Submission:
    """Read the outputs of stage read.

    Raises
    ------
    StageError
        ``missing_input`` if one is not there or damaged.
    """
    try:
        made = Submission(json.loads(source.read_text(encoding="utf-8")))
        for row in pq.read_table(rows).to_pylist():
            made.rows.append(Row(row["row"], row["model"], row["scenario"], row["version"]))
        for cell in pq.read_table(values).to_pylist():
            [value] = [cell[kind] for kind in _KINDS if cell[kind] is not None]
            made.values.setdefault(cell["row"], {})[cell["key"]] = value
    except (FileNotFoundError, json.JSONDecodeError, pa.ArrowInvalid) as error:
        message = "A file of stage read is not there or damaged: run that stage again."
        raise StageError("missing_input", message) from error
    return made
