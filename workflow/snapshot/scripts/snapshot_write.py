"""Stage write: what stage view has read, in all formats that are asked for."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

from snapshot_chunks import Group, View
from snapshot_formats import Writer
from stagekit import program
from stagekit.files import whole_folder, write_json

FORMATS = {
    "parquet": "snapshot_formats.Parquet",
    "csv": "snapshot_formats.Csv",
    "csv_wide": "snapshot_formats.CsvWide",
    "xlsx": "snapshot_excel.Xlsx",
    "duckdb": "snapshot_duckdb.DuckDB",
}
ONE_FILE = ("duckdb",)  # a database is never split


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--view", type=Path, required=True, help="folder that stage view wrote")
    parser.add_argument("--formats", nargs="+", choices=list(FORMATS), required=True)
    parser.add_argument("--split-by", choices=("none", "model", "scenario"), default="none")
    parser.add_argument("--scratch", type=Path, required=True, help="folder for finished formats")
    parser.add_argument("--output", type=Path, required=True, help="folder for all files")
    parser.add_argument("--files", type=Path, required=True, help="list of the files (JSON)")
    parser.add_argument("--error", type=Path, help="where an error is described (JSON)")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Write all formats, one after the other; those that an earlier start finished are kept.

    Raises
    ------
    StageError
        If something does not fit into a format.
    """
    args.files.unlink(missing_ok=True)
    view = View(args.view)
    files = [file for name in args.formats for file in _finished(view, name, args)]
    with whole_folder(args.output) as folder:
        for name in args.formats:
            (args.scratch / name / "data").rename(folder / name)
    shutil.rmtree(args.scratch)
    write_json(args.files, files)


def _finished(view: View, name: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Give the list of a format's files, which are written if they are not there."""
    done, asked = args.scratch / name, {"view": view.about, "split_by": args.split_by}
    with suppress(OSError):
        found: dict[str, Any] = json.loads((done / "done.json").read_text(encoding="utf-8"))
        if found["asked"] == asked and (done / "data").is_dir():
            print(f"{name} is written already", flush=True)
            return list(found["files"])
    groups = view.groups("none" if name in ONE_FILE else args.split_by)
    with whole_folder(done) as folder:
        data = folder / "data"
        data.mkdir()
        files = [
            {"path": f"{name}/{file}", "format": name, "rows": rows, **group.of}
            for group, file, rows in _written(name, data, view, groups)
        ]
        write_json(folder / "done.json", {"asked": asked, "files": files})
    return files


def _written(
    name: str, folder: Path, view: View, groups: Sequence[Group]
) -> Iterator[tuple[Group, str, int]]:
    module, _, kind = FORMATS[name].partition(".")
    make: type[Writer] = getattr(import_module(module), kind)  # only what is asked for
    current: Group | None = None
    writer: Any = None
    done = 0
    for group, chunk in view.pieces(groups):
        if group is not current:
            if current is not None:
                yield from ((current, *found) for found in writer.close())
            current, writer = group, make(folder, group, view)
        writer.write(chunk)
        done += chunk.facts.height
        print(f"{name}: {done:,} of {view.about['datapoints']:,} datapoints", flush=True)
    if current is not None:
        yield from ((current, *found) for found in writer.close())


if __name__ == "__main__":
    arguments = parse()
    sys.exit(program.run("write", arguments.error, lambda: main(arguments)))
