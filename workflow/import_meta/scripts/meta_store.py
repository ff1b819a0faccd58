"""Stage store: make the changes of the diff, all or nothing, once."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

import meta_platform
import sqlalchemy as sa
from meta_diff import diff
from meta_load import load
from meta_submission import Submission
from meta_targets import find
from stagekit import files, platform, program
from stagekit.problems import StageError
from stagekit.transactions import transaction

Entries = list[dict[str, Any]]


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=Path, required=True, help="read's runs")
    parser.add_argument("--values", type=Path, required=True, help="read's indicators")
    parser.add_argument("--source", type=Path, required=True, help="read's description")
    parser.add_argument("--diff", type=Path, required=True, help="check's diff")
    parser.add_argument("--output", type=Path, required=True, help="what was stored (JSON)")
    parser.add_argument("--job", required=True, help="identifier of the job")
    parser.add_argument("--embedded", type=Path, help="SQLite file of the embedded platform")
    parser.add_argument("--wait", type=float, default=1800, help="seconds to wait for a lock")
    parser.add_argument("--error", type=Path, help="where an error is described (JSON)")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Make the changes that are not made yet and write ``stored.json``.

    Raises
    ------
    StageError
        ``platform_changed`` if the platform is no longer as it was when the diff was made.
    """
    planned = json.loads(args.diff.read_text(encoding="utf-8"))
    entries = [entry for entry in planned["entries"] if entry["change"] != "unchanged"]
    if entries:
        _store(args, planned, entries)
    files.write_json(args.output, _document(planned, entries))


def _store(args: argparse.Namespace, planned: dict[str, Any], entries: Entries) -> None:
    submission = load(args.rows, args.values, args.source)
    dsn = platform.address(args.embedded)
    platform.ready(dsn, embedded=dsn.startswith("sqlite") and args.embedded is not None)
    meta_platform.check_schema()
    content = hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()
    marker = f"jobrunner job={args.job} meta={content[:16]}"
    with (
        platform.explained(dsn),
        transaction(platform.engine(dsn, args.wait), args.wait) as connection,
    ):
        if meta_platform.marked(connection, marker):
            print("everything is stored already", flush=True)
            return
        meta_platform.hold(connection, sorted({entry["run"] for entry in entries}))
        if _still_to_do(connection, submission, planned, entries):
            _write(connection, entries, marker)


def _still_to_do(
    connection: sa.Connection, submission: Submission, planned: dict[str, Any], entries: Entries
) -> bool:
    """Compare again, now that nobody else can write; False if all is as it should be."""
    targets = find(submission, meta_platform.runs(connection))
    ids = sorted({run.id for run in targets.runs.values()})
    now = diff(submission, planned["mode"], targets, meta_platform.indicators(connection, ids))
    fresh = [entry for entry in now["entries"] if entry["change"] != "unchanged"]
    if fresh == entries:
        return True
    if not fresh and len(targets.unknown) == len(planned["unknown"]):
        print("the platform has all of it already", flush=True)
        return False
    raise _changed(entries, fresh)


def _changed(entries: Entries, fresh: Entries) -> StageError:
    before, after = (
        {(e["model"], e["scenario"], e["key"]): (e["run"], e["change"], e["from"], e["from_type"])
         for e in some}
        for some in (entries, fresh)
    )  # fmt: skip
    differ = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    shown = "; ".join(f"{model} / {scenario}: {key}" for model, scenario, key in differ[:5])
    more = f" and {len(differ) - 5} more" if len(differ) > 5 else ""
    return StageError(
        "platform_changed",
        f"Somebody has changed the platform since the diff was made ({shown}{more}). Nothing was"
        " stored. Run the job again from stage check, look at the new diff, and continue.",
    )


def _write(connection: sa.Connection, entries: Entries, marker: str) -> None:
    removed: defaultdict[int, list[str]] = defaultdict(list)
    given: defaultdict[int, dict[str, Any]] = defaultdict(dict)
    for entry in entries:
        if entry["change"] != "added":
            removed[entry["run"]].append(entry["key"])
        if entry["change"] != "removed":
            given[entry["run"]][entry["key"]] = entry["to"]
    print(f"storing {len(entries):,} changes", flush=True)
    meta_platform.write(connection, removed, given, marker)


def _document(planned: dict[str, Any], entries: Entries) -> dict[str, Any]:
    runs: dict[int, dict[str, Any]] = {}
    for entry in entries:
        named = {key: entry[key] for key in ("model", "scenario", "version")}
        run = runs.setdefault(entry["run"], {"id": entry["run"], **named, "changes": 0})
        run["changes"] += 1
    counts = {kind: n for kind, n in planned["counts"].items() if kind != "unchanged"}
    return {"mode": planned["mode"], **counts, "runs": list(runs.values())}


if __name__ == "__main__":
    options = parse()
    sys.exit(program.run("store", options.error, lambda: main(options)))
