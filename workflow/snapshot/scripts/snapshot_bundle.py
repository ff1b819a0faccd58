"""Stage bundle: manifest, indicators and README beside the data, and all of it in one zip."""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

import numpy as np
import polars as pl
from snapshot_chunks import View
from snapshot_excel import add_sheet, close_workbook, open_workbook
from snapshot_indicators import table
from snapshot_readme import readme
from stagekit import program
from stagekit.files import whole, write_json

FORMAT = "jobrunner-snapshot/1"  # by this manifest.json is known as one of ours
PACKED = {".csv", ".json", ".txt", ".duckdb"}  # everything else is compressed already


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--view", type=Path, required=True, help="folder that stage view wrote")
    add("--data", type=Path, required=True, help="folder that stage write wrote")
    add("--files", type=Path, required=True, help="list of its files (JSON)")
    add("--job", required=True, help="identifier of the job")
    add("--name", default="snapshot", help="how the snapshot is called")
    add("--split-by", default="none")
    add("--manifest", type=Path, required=True, help="manifest.json")
    add("--meta", type=Path, required=True, help="meta.xlsx")
    add("--readme", type=Path, required=True, help="README.txt")
    add("--zip", type=Path, required=True, help="the archive of all that")
    add("--error", type=Path, help="where an error is described (JSON)")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Write the three files and the archive."""
    view = View(args.view)
    listed = json.loads(args.files.read_text(encoding="utf-8"))
    data = [(f"data/{file['path']}", args.data / file["path"], file) for file in listed]
    about = described(view, args)
    with whole(args.meta) as temporary:
        _workbook(temporary, view)
    with whole(args.readme) as temporary:
        text = readme({**about, "files": [{**file, "path": name} for name, _, file in data]})
        temporary.write_text(text, encoding="utf-8")
    members = [
        ("README.txt", args.readme, {}),
        ("meta.xlsx", args.meta, {"rows": about["counts"]["versions"]}),
        *data,
    ]
    files = [{**file, "path": name, **_fingerprint(path)} for name, path, file in members]
    write_json(args.manifest, {**about, "files": files})
    _pack(args.zip, [(name, path) for name, path, _ in members], args.manifest, about)


def described(view: View, args: argparse.Namespace) -> dict[str, Any]:
    """Give what the manifest says beside the files."""
    numbers = np.diff(view.ends, prepend=0)
    used = {
        kind: len(np.unique(view.series[kind][numbers > 0])) for kind in ("region", "measurand")
    }
    measured = view.measurands[np.unique(view.series["measurand"][numbers > 0])]
    pairs = view.runs.select("model", "scenario", "version", "is_default").with_columns(
        pl.Series("datapoints", view.datapoints)
    )
    pairs = pairs.filter(view.shown)
    return {
        "format": FORMAT,
        "name": args.name,
        "job": args.job,
        **view.about,
        "split_by": args.split_by,
        "counts": {
            "models": pairs["model"].n_unique(),
            "scenarios": pairs.select("model", "scenario").n_unique(),
            "versions": pairs.height,
            "regions": used["region"],
            "variables": measured["variable"].n_unique(),
            "units": measured["unit"].n_unique(),
            "timeseries": int((numbers > 0).sum()),
        },
        "years": _span(view.years["year"]),
        "runs": pairs.to_dicts(),
    }


def _span(years: pl.Series) -> list[Any] | None:
    return None if years.is_empty() else [years.min(), years.max()]


def _workbook(path: Path, view: View) -> None:
    book = open_workbook(path, view)
    add_sheet(book, "meta", *table(view))
    regions = view.table("regions").select("name", "hierarchy")
    add_sheet(book, "regions", regions.columns, regions.iter_rows())
    add_sheet(book, "units", ["name"], view.table("units").select("name").iter_rows())
    close_workbook(book)


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        digest = file_digest(stream, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def _pack(
    target: Path, members: Sequence[tuple[str, Path]], manifest: Path, about: dict[str, Any]
) -> None:
    """Write the archive; the same view gives the same bytes."""
    moment = datetime.fromisoformat(about["time"]).timetuple()[:6]
    with whole(target) as temporary, zipfile.ZipFile(temporary, "w", allowZip64=True) as archive:
        for name, path in [*members, ("manifest.json", manifest)]:
            entry = zipfile.ZipInfo(name, moment)
            entry.compress_type = (
                zipfile.ZIP_DEFLATED if path.suffix in PACKED else zipfile.ZIP_STORED
            )
            entry.external_attr = 0o644 << 16
            entry.file_size = path.stat().st_size  # above 4 GB the entry has another form
            print(f"packing {name}", flush=True)
            with path.open("rb") as stream, archive.open(entry, "w") as packed:
                for piece in _pieces(stream):
                    packed.write(piece)


def _pieces(stream: Any) -> Iterator[bytes]:
    while piece := stream.read(1 << 20):
        yield piece


if __name__ == "__main__":
    arguments = parse()
    sys.exit(program.run("bundle", arguments.error, lambda: main(arguments)))
