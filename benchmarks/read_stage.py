"""Stage read against ``pyam.IamDataFrame(file)`` on a workbook of a million datapoints.

Both sides are whole processes, start of the interpreter included. Without ``--read-python`` and
``--pyam-python`` the two environments are built first (and kept).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from measure import interleaved  # noqa: E402

SCRIPT = ROOT / "workflow/import_timeseries/scripts/read.py"
PYAM = """\
dependencies:
  - python >=3.11,<3.14
  - pip
  - pip:
      - pyam-iamc==4.0.0
"""
MOST_TIME, MOST_MEMORY = 0.2, 0.5


def environment(name: str, text: str | None = None) -> Path:
    """Build one of the project's environments, or one from `text`; give its Python."""
    from runner.environments import EnvironmentStore

    store = ROOT / ".cache" / "benchmark-environments"
    store.mkdir(parents=True, exist_ok=True)
    file = ROOT / "envs" / f"{name}.yaml"
    if text is not None:
        file = store / f"{name}.yaml"
        file.write_text(text, encoding="utf-8")
    return EnvironmentStore(store).build(file, [ROOT / "envs"]) / "bin" / "python"


def main() -> int:
    """Measure, print medians and ratios; 1 if a ratio is above what the README promises."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--datapoints", type=int, default=1_000_000)
    parser.add_argument("--read-python", type=Path, help="a Python with envs/polars.yaml in it")
    parser.add_argument("--pyam-python", type=Path, help="a Python with pyam in it")
    args = parser.parse_args()
    read_python = args.read_python or environment("polars")
    pyam_python = args.pyam_python or environment("pyam", PYAM)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        book = folder / "big.xlsx"
        # by a process of its own: a child's peak memory is at least what its parent held
        generator = [sys.executable, ROOT / "benchmarks/workbook.py", book]
        subprocess.run([*generator, f"--datapoints={args.datapoints}"], check=True)
        outputs = {"output": "data.parquet", "meta": "meta.parquet", "cells": "cells.parquet"}
        options = [f"--{key}={folder / file}" for key, file in outputs.items()]
        options += [f"--input={book}", f"--source={folder / 'source.json'}"]
        load = f"import pyam; pyam.IamDataFrame({str(book)!r})"
        commands = {
            "read": [str(read_python), str(SCRIPT), *options],
            "pyam": [str(pyam_python), "-c", load],
        }
        medians = interleaved(commands, args.rounds)
    read, pyam = medians["read"], medians["pyam"]
    wall, memory = read.seconds / pyam.seconds, read.megabytes / pyam.megabytes
    print(f"medians of {args.rounds} rounds, {args.datapoints:,} datapoints:")
    print(f"  read {read.seconds:.2f} s {read.megabytes:.0f} MB")
    print(f"  pyam {pyam.seconds:.2f} s {pyam.megabytes:.0f} MB")
    print(f"  wall {wall:.3f}x (at most {MOST_TIME}), memory {memory:.3f}x (at most {MOST_MEMORY})")
    return int(wall > MOST_TIME or memory > MOST_MEMORY)


if __name__ == "__main__":
    sys.exit(main())
