"""Processing modules: command-line programs that read and write the IAMC format.

Runs in the processing repository's environment or in ``envs/modules.yaml``: Python 3.9.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Any

import pyam
from processing_data import pyam_has_exclude
from stagekit.problems import StageError
from stagekit.program import redact

SUFFIXES = {"xlsx": ".xlsx", "csv": ".csv"}
KEPT_LINES = 20


def run(module: dict[str, Any], number: int, df: Any, folder: Path, base: Path) -> Any:
    """Run one module on the data and give what it wrote.

    Parameters
    ----------
    module : dict
        ``command`` and, optionally, ``title`` and ``format`` (xlsx or csv).
    number : int
        Its place in the list, from 1.
    df : pyam.IamDataFrame
        The data so far.
    folder : Path
        Where its input and output go.
    base : Path
        Working directory of the module, in which relative program files are looked up.

    Raises
    ------
    StageError
        If the module fails or writes nothing that is IAMC data.
    """
    name = module.get("title") or module["command"]
    suffix = SUFFIXES[module.get("format", "xlsx")]
    given = folder / f"module-{number}-input{suffix}"
    written = folder / f"module-{number}-output{suffix}"
    folder.mkdir(parents=True, exist_ok=True)
    _write(df, given)
    print(f"module {number}: {name}", flush=True)
    _call([*_command(module["command"], base), "--input", given, "--output", written], name, base)
    if not written.is_file():
        raise StageError("module_failed", f"The module {name} ended without writing its output.")
    try:
        result = pyam.IamDataFrame(written)
    except Exception as error:
        raise StageError(
            "module_failed", f"What the module {name} wrote is not in the IAMC format: {error}"
        ) from error
    return result if suffix == ".xlsx" else _with_meta(result, df)


def _write(df: Any, path: Path) -> None:
    if path.suffix == ".csv":
        df.to_csv(path)
        return
    if not pyam_has_exclude():
        df.to_excel(path)
        return
    # pyam reads `exclude` from the meta sheet but does not write it
    import pandas as pd

    with pd.ExcelWriter(path, engine="xlsxwriter") as writer:
        df.to_excel(writer, include_meta=False)
        meta = df.meta.assign(exclude=df.exclude) if df.exclude.any() else df.meta
        if len(meta.columns):
            meta.reset_index().to_excel(writer, sheet_name="meta", index=False)


def _with_meta(result: Any, before: Any) -> Any:
    """Give `result` the meta indicators of `before`: csv cannot hold them."""
    for name in before.meta.columns:
        series = before.meta[name]
        result.set_meta(series[series.index.isin(result.meta.index)], name)
    if pyam_has_exclude():
        for key, flag in before.exclude.items():
            if key in result.exclude.index:
                result.exclude.loc[key] = flag
    return result


def _command(text: str, base: Path) -> list[Any]:
    words = shlex.split(text)
    if not words:
        raise StageError("module_failed", "A processing module has an empty command.")
    if (base / words[0]).is_file():
        words[0] = str(base / words[0])
    return words


def _call(command: list[Any], name: str, base: Path) -> None:
    # `python` is the interpreter of this environment also where it is not activated
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    last: deque[str] = deque(maxlen=KEPT_LINES)
    try:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=base,
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise StageError(
            "module_failed", f"The module {name} cannot be started: {error.strerror}: {command[0]}"
        ) from error
    assert process.stdout is not None
    for line in process.stdout:
        sys.stdout.write(redact(line))
        sys.stdout.flush()
        last.append(line.rstrip())
    code = process.wait()
    if code != 0:
        lines = redact("\n".join(last))
        raise StageError(
            "module_failed", f"The module {name} failed with exit code {code}:\n{lines}"
        )
