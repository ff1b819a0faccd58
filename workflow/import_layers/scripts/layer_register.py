"""Stage register: a new version in the instance's layer store, once however often it is started."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

import layer_store
from stagekit import program
from stagekit.files import write_json
from stagekit.problems import StageError


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--layer", type=Path, required=True, help="what the stage write says of its files")
    add("--files", type=Path, nargs="+", required=True, help="the files")
    add("--output", type=Path, required=True, help="the entry of the registry (JSON)")
    add("--name", required=True, help="name of the layer")
    add("--version", help="its version; the next number if none is given")
    add("--attribution", default="", help="whom a map must name")
    add("--job", required=True, help="id of the job")
    add("--store", type=Path, help="the instance's layer store")
    add("--error", type=Path, help="where an error is described (JSON)")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Add the version to the store and to its registry.

    Raises
    ------
    StageError
        If the version exists, or the store cannot be written to.
    """
    store = layer_store.required(args.store)
    layer = json.loads(args.layer.read_text(encoding="utf-8"))
    with layer_store.locked(store):
        found = layer_store.entries(store)
        entry = _own(found, args, layer)
        if entry is None:
            version = args.version or layer_store.next_version(found, args.name)
            layer_store.refuse_existing(found, args.name, version, args.job)
            entry = _entry(args, layer, version)
            files = {f"{args.name}{_ending(path)}": path for path in args.files}
            layer_store.add(store, entry, files)
            found = [*found, entry]
            print(f"added {args.name} {version}: {len(files)} files", flush=True)
        else:
            print(f"this job has registered {args.name} {entry['version']} already", flush=True)
        layer_store.list_all(store, found)
    write_json(args.output, entry)


def _own(
    found: Sequence[layer_store.Entry], args: argparse.Namespace, layer: dict[str, Any]
) -> layer_store.Entry | None:
    """Give the version that this job registered before, if it did."""
    own = [entry for entry in found if (entry["job"], entry["name"]) == (args.job, args.name)]
    if not own:
        return None
    if own[0]["checksum"] != layer["checksum"]:
        raise StageError(
            "version_exists",
            f"This job registered {args.name} {own[0]['version']} before, with other shapes; a"
            " version is never overwritten. Submit a new job to register a further version.",
        )
    return own[0]


def _entry(args: argparse.Namespace, layer: dict[str, Any], version: str) -> layer_store.Entry:
    return {
        "name": args.name,
        "version": version,
        "attribution": args.attribution,
        "bounds": layer["bounds"],
        "regions": layer["regions"],
        "levels": layer["levels"],
        "checksum": layer["checksum"],
        "files": [_file(args.name, path) for path in args.files],
        "source": layer["source"],
        "job": args.job,
        "registered": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    }


def _file(name: str, path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        checksum = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"path": f"{name}{_ending(path)}", "bytes": path.stat().st_size, "sha256": checksum}


def _ending(path: Path) -> str:
    """Give what distinguishes a file of the layer: ``layer-low.geojson`` ends ``-low.geojson``."""
    return path.name.removeprefix("layer")


if __name__ == "__main__":
    options = parse()
    sys.exit(program.run("register", options.error, lambda: main(options)))
