"""Stage report: what the snapshot has, as a page for people and as a summary for programs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

from stagekit import program
from stagekit.files import whole, write_json

LISTED = 200  # rows of a table on the page; manifest.json has all
TEMPLATE = "snapshot_report.html.j2"


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", type=Path, required=True, help="manifest.json")
    parser.add_argument("--zip", type=Path, required=True, help="the archive")
    parser.add_argument("--published", type=Path, help="what was published (JSON)")
    parser.add_argument("--output", type=Path, required=True, help="the page to write")
    parser.add_argument("--summary", type=Path, required=True, help="the summary to write (JSON)")
    parser.add_argument("--error", type=Path, help="where an error is described (JSON)")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Write both files."""
    from stagekit.pages import templates

    manifest = json.loads(args.manifest.read_text(encoding="utf-8"))
    published = args.published and json.loads(args.published.read_text(encoding="utf-8"))
    figures = summary(manifest, archive(args.zip), published)
    environment = templates(Path(__file__).resolve().parent, size=size)
    page = environment.get_template(TEMPLATE).render(
        moment=datetime.fromisoformat(manifest["time"]).strftime("%-d %B %Y, %H:%M:%S UTC"),
        manifest=manifest,
        summary=figures,
        published=published,
        listed=LISTED,
    )
    with whole(args.output) as temporary:
        temporary.write_text(page, encoding="utf-8")
    write_json(args.summary, figures)


def archive(path: Path) -> dict[str, Any]:
    """Give name, size and checksum of the archive."""
    with path.open("rb") as stream:
        digest = file_digest(stream, "sha256").hexdigest()
    return {"path": f"results/{path.name}", "bytes": path.stat().st_size, "sha256": digest}


def summary(
    manifest: dict[str, Any], zipped: dict[str, Any], published: dict[str, Any] | None
) -> dict[str, Any]:
    """Give the figures, with the lines that a command line shows at the end."""
    counts = manifest["counts"]
    models = "1 model" if counts["models"] == 1 else f"{counts['models']:,} models"
    data = [file for file in manifest["files"] if "format" in file]
    formats = ", ".join(dict.fromkeys(file["format"] for file in data))
    sizes = size(sum(file["bytes"] for file in data)), size(zipped["bytes"])
    headline = {
        "Datapoints": f"{manifest['datapoints']:,} of {counts['timeseries']:,} timeseries",
        "Scenarios": f"{counts['scenarios']:,} of {models}",
        "View": manifest["time"],
        "Files": f"{len(data):,} ({formats}), {sizes[0]}; zip {sizes[1]}",
    }
    if published:
        headline["Published"] = f"{published['folder']} in {published['to']}"
    return {
        "headline": headline,
        "datapoints": manifest["datapoints"],
        "types": manifest["types"],
        "counts": counts,
        "time": manifest["time"],
        "archive": zipped,
        "files": len(data),
        "published": published,
        "report": "results/report.html",
    }


def size(number: int) -> str:
    """Write bytes for people: ``12.3 MB``."""
    value, units = float(number), ["bytes", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{number:,} bytes" if units[0] == "bytes" else f"{value:.1f} {units[0]}"


if __name__ == "__main__":
    arguments = parse()
    sys.exit(program.run("report", arguments.error, lambda: main(arguments)))
