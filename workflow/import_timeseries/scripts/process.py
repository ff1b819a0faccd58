"""PROCESS: run the processing repository's entry point and the processing modules.

Runs in the environment of the processing repository: Python 3.9 or newer, any pandas, pyam and
nomenclature, with pyarrow added; without a repository in ``envs/modules.yaml``.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

SCRIPTS = Path(__file__).resolve().parent
COMMON = SCRIPTS.parents[1] / "common"
sys.path.insert(0, str(COMMON))

from stagekit import problems, program, units
from stagekit.problems import Problem, StageError

BEFORE = ("read", "check")


def main(args: argparse.Namespace) -> None:
    """Process the data; write them, or the table of what the repository refuses."""
    for name in (program.DSN_VARIABLE, program.PUBLISH_VARIABLE):
        os.environ.pop(name, None)  # nobody's code but ours may reach the platform
    try:
        warnings = _process(args)
    except StageError as error:
        problems.record(args.problems, "process", error.problems, after=BEFORE)
        raise
    problems.record(args.problems, "process", warnings, after=BEFORE)


def _process(args: argparse.Namespace) -> list[Problem]:
    import processing_checkout

    where = json.loads(args.source.read_text(encoding="utf-8"))
    if args.checkout or args.repository:
        base = processing_checkout.prepare(
            args.scratch, args.checkout, args.repository, args.commit
        )
        print(f"copy of the processing repository {args.repository} at {args.commit}", flush=True)
    else:
        processing_checkout.remove(args.scratch)
        base = args.scratch
        base.mkdir(parents=True)
    started = time.monotonic()
    import processing_data as data
    import processing_modules

    source = data.Source(args.input, where.get("utc_offset"))
    submitted = data.Submitted(args.meta)
    df = data.as_iamframe(source.series(), submitted.table)
    print(f"{len(source.value):,} datapoints loaded in {time.monotonic() - started:.1f} s")
    if base != args.scratch:
        df = _run_entry(args, base, df, source, where)
    gc.enable()
    if args.modules:
        for number, module in enumerate(json.loads(args.modules), start=1):
            df = processing_modules.run(module, number, df, args.scratch / "modules", base)
    warnings = _write(args, df, submitted)
    os.chdir(args.output.parent)
    processing_checkout.remove(args.scratch)
    return warnings


def _run_entry(
    args: argparse.Namespace, copy: Path, df: Any, source: Any, where: dict[str, Any]
) -> Any:
    import processing_entry
    import processing_refusal
    from stagekit.message import summary

    os.chdir(copy)
    # our own modules must not be found by the repository's imports; its neighbours are found last
    sys.path[:] = [p for p in sys.path if p not in (str(SCRIPTS), str(COMMON))] + [str(copy)]
    sys.argv = [str(copy / "workflow.py")]
    try:
        result = processing_entry.run(copy, args.entry, df)
    except processing_entry.EntryFailed as failed:
        found = processing_refusal.collect(failed, source, where)
        if found is None:
            raise processing_entry.failure(failed, copy, args.entry) from failed
        place = where.get("sheet")
        place = f"sheet {place!r} of {where['file']}" if place else str(where.get("file"))
        message = summary(found, f"{place} for the processing repository", args.listed)
        raise StageError("data_refused", message, found) from failed
    print(f"{args.entry}() in workflow.py is done", flush=True)
    return result


def _write(args: argparse.Namespace, df: Any, submitted: Any) -> list[Problem]:
    import processing_data as data

    table = data.tidy(df)
    renamed = table["unit"] == units.DIMENSIONLESS
    warnings = []
    if renamed.any():
        warnings.append(units.stored_differently(int(renamed.sum())))
        table["unit"] = table["unit"].map(units.for_platform)
        names = [name for name in table.columns if name != "value"]
        table = table.sort_values(names, kind="stable")
    meta = data.tidy_meta(df, submitted)
    lost = [name for name in submitted.table.columns if name not in meta.columns]
    if lost:
        message = f"Processing dropped the meta indicators {', '.join(lost)}: they are not stored."
        warnings.append(Problem("meta_dropped", message, "warning", count=len(lost)))
    data.write(args.output, table)
    data.write(args.processed_meta, meta)
    print(f"{len(table):,} datapoints after processing", flush=True)
    return warnings


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("input", "meta", "source", "output", "processed-meta", "problems", "scratch"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--checkout", type=Path, help="checkout of the processing repository")
    parser.add_argument("--repository", default="", help="where it comes from")
    parser.add_argument("--commit", default="", help="the commit it is pinned to")
    parser.add_argument("--entry", default="main", help="function in workflow.py")
    parser.add_argument("--modules", help="JSON list of processing modules")
    parser.add_argument("--listed", type=int, default=program.LISTED)
    parser.add_argument("--error", type=Path)
    args = parser.parse_args()
    # the entry point runs in another working directory: every path has to be absolute
    for name, value in vars(args).items():
        if isinstance(value, Path):
            setattr(args, name, value.resolve())
    return args


def end(code: int) -> NoReturn:
    """End at once: taking apart the modules of pyam and nomenclature takes about a second."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    arguments = parse()
    gc.disable()  # until everything is imported: a third of the time of importing nomenclature
    end(program.run("process", arguments.error, lambda: main(arguments)))
