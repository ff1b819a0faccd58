"""Stage publish: hand a finished snapshot to another place, whole, and keep the newest there."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

from snapshot_places import place
from stagekit import patience, program
from stagekit.files import write_json
from stagekit.problems import StageError

FORMAT = "jobrunner-snapshot/1"
MANIFEST = "manifest.json"
PASSING = ("publish_failed",)  # what may be over after a while


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", type=Path, required=True, help="manifest.json")
    parser.add_argument("--zip", type=Path, required=True, help="the archive")
    parser.add_argument("--to", required=True, help="a folder or an fsspec URL")
    parser.add_argument("--keep", type=int, help="how many of the newest stay")
    parser.add_argument("--as", dest="form", choices=("zip", "files"), default="zip")
    parser.add_argument("--output", type=Path, required=True, help="what was done (JSON)")
    parser.add_argument("--error", type=Path, help="where an error is described (JSON)")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Publish the snapshot once, and remove older ones.

    Raises
    ------
    StageError
        If the place cannot be reached or written to.
    """
    if re.search("://[^/@]*:[^/@]*@", args.to):
        raise StageError(
            "publish_password",
            "A password must not be part of the address: the profile's publish options have it.",
        )
    document = patience.keep_trying(
        lambda: _publish(args),
        lambda error: isinstance(error, StageError) and error.code in PASSING,
        what=args.to,
    )
    write_json(args.output, document)


def _publish(args: argparse.Namespace) -> dict[str, Any]:
    manifest = json.loads(args.manifest.read_text(encoding="utf-8"))
    name, own = manifest["name"], folder_name(manifest)
    with place(args.to) as (system, folder, renaming):
        if renaming and not system.isdir(folder):
            raise FileNotFoundError(f"there is no folder {folder}")
        if _manifest(system, f"{folder}/{own}") == manifest:
            print(f"{own} is published already", flush=True)
        else:
            _upload(system, folder, own, _files(manifest, args), renaming)
        removed = []
        if args.keep:
            for old in sorted(_published(system, folder, name), reverse=True)[args.keep :]:
                print(f"removing {old}", flush=True)
                _remove(system, f"{folder}/{old}", name)
                removed.append(old)
    return {"to": args.to, "folder": own, "as": args.form, "removed": removed}


def folder_name(manifest: dict[str, Any]) -> str:
    """Give the name of a published snapshot: names sort by the time of the view."""
    moment = re.sub(r"[-:]|\.\d+", "", manifest["time"])
    return f"{manifest['name']}-{moment}-{manifest['job']}"


def _files(manifest: dict[str, Any], args: argparse.Namespace) -> list[tuple[Path, str]]:
    """Give what is uploaded, with its name there; the manifest comes last."""
    results = args.manifest.parent
    found = [(args.zip, f"{manifest['name']}.zip")]
    if args.form == "files":
        found = [(results / file["path"], file["path"]) for file in manifest["files"]]
    return [*found, (args.manifest, MANIFEST)]


def _upload(
    system: Any, folder: str, own: str, files: list[tuple[Path, str]], renaming: bool
) -> None:
    """Write beside and rename; where that is not possible, the manifest makes it whole."""
    target = f"{folder}/.{own}.partial" if renaming else f"{folder}/{own}"
    if renaming:
        for left in (target, f"{folder}/{own}"):  # of a start that was killed
            if system.exists(left):
                system.rm(left, recursive=True)
    for path, name in files:
        print(f"uploading {name} ({path.stat().st_size:,} bytes)", flush=True)
        there = f"{target}/{name}"
        system.makedirs(there.rpartition("/")[0], exist_ok=True)
        system.put_file(str(path), there)
        system.invalidate_cache()
        size = system.info(there)["size"]
        if size != path.stat().st_size:
            raise OSError(f"{name} has {size:,} bytes there instead of {path.stat().st_size:,}")
    if renaming:
        system.mv(target, f"{folder}/{own}")


def _manifest(system: Any, folder: str) -> dict[str, Any] | None:
    """Give the manifest of a published snapshot; None if it is none of ours."""
    try:
        found = json.loads(system.cat_file(f"{folder}/{MANIFEST}"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    ours = isinstance(found, dict) and found.get("format") == FORMAT
    return found if ours else None


def _published(system: Any, folder: str, name: str) -> Iterator[str]:
    """Give the snapshots of this name that carry our manifest."""
    pattern = re.compile(rf"{re.escape(name)}-\d{{8}}T\d{{6}}Z-.+")
    system.invalidate_cache()
    for entry in system.ls(folder, detail=True):
        base = entry["name"].rstrip("/").rpartition("/")[2]
        if entry["type"] != "directory" or not pattern.fullmatch(base):
            continue
        manifest = _manifest(system, f"{folder}/{base}")
        if manifest and manifest.get("name") == name and folder_name(manifest) == base:
            yield base


def _remove(system: Any, folder: str, name: str) -> None:
    """Remove a snapshot's own files, its manifest last; whatever else lies there stays."""
    manifest = _manifest(system, folder) or {"files": []}
    files = [file["path"] for file in manifest["files"]]
    for file in [f"{name}.zip", *files, MANIFEST]:
        if ".." not in file.split("/") and system.exists(f"{folder}/{file}"):
            system.rm_file(f"{folder}/{file}")
    inner = {part for file in files for part in _parents(file)}
    for part in [*sorted(inner, key=len, reverse=True), ""]:
        try:
            system.rmdir(f"{folder}/{part}".rstrip("/"))
        except (OSError, NotImplementedError):  # somebody's own file; or there are no folders
            continue


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]


if __name__ == "__main__":
    arguments = parse()
    sys.exit(program.run("publish", arguments.error, lambda: main(arguments)))
