"""STORE: the solution into a new version of the scenario or into the same run, once."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

from stagekit import files, platform, program


def main(args: argparse.Namespace) -> None:
    """Store the solution if it is not stored yet, and write ``stored.json``."""
    dsn = platform.address(args.embedded)
    platform.ready(dsn, embedded=dsn.startswith("sqlite") and args.embedded is not None)
    items = json.loads(args.items.read_text(encoding="utf-8"))
    about = json.loads(args.about.read_text(encoding="utf-8"))
    files.write_json(args.output, _store(dsn, items, about, args))


def _store(
    dsn: str, items: dict[str, Any], about: dict[str, Any], args: argparse.Namespace
) -> dict[str, Any]:
    import solution_runs
    from stagekit import runs

    source = items["run"]
    pair = (source["model"], source["scenario"])
    solution = solution_runs.read_solution(args.solution, about, items)
    how = (args.to, args.set_default, source["version"])
    marker = (
        f"jobrunner job={args.job} solution={solution_runs.digest(args.solution, about, how)[:16]}"
    )

    def attempt() -> runs.Stored:
        with runs.writing(platform.engine(dsn, args.wait), args.wait) as target:
            if done := runs.stored(target, marker).get(pair):
                print("the solution is stored already", flush=True)
                return done
            return solution_runs.store(
                target, items, about, solution, marker,
                new_version=args.to == "new_version", set_default=args.set_default,
                wait=args.lock_wait,
            )  # fmt: skip

    with platform.explained(dsn):
        done: runs.Stored = runs.retried(attempt)
    print(f"{pair[0]}, {pair[1]}: version {done.version}", flush=True)
    return {
        "id": done.id,
        "model": pair[0],
        "scenario": pair[1],
        "version": done.version,
        "solved_version": source["version"],
        "default": bool(args.to == "new_version" and args.set_default),
        "objective": about["objective"],
        "status": about["status"],
        "items": _items(about, solution),
    }


def _items(about: dict[str, Any], solution: dict[tuple[str, str], Any]) -> list[dict[str, Any]]:
    found = [
        {"kind": kind, "name": about["store"][kind][part]["name"], "values": len(data)}
        for (kind, part), data in solution.items()
    ]
    if objective := about["store"]["objective"]:
        found.append({"kind": "variables", "name": objective, "values": 1})
    return found


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("items", "model", "solution", "about", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--job", required=True, help="identifier of the job")
    parser.add_argument("--to", choices=["new_version", "same_run"], default="new_version")
    parser.add_argument("--set-default", action="store_true", help="for a new version")
    parser.add_argument("--embedded", type=Path, help="SQLite file of the embedded platform")
    parser.add_argument("--wait", type=float, default=1800, help="seconds to wait for a lock")
    parser.add_argument("--lock-wait", type=float, default=300, help="… for a locked run")
    parser.add_argument("--error", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse()
    sys.exit(program.run("store", arguments.error, lambda: main(arguments)))
