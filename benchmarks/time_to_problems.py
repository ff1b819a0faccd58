"""Time to the full list of problems, against ``nomenclature run-workflow`` on the same file.

A workbook of a million datapoints has one unknown region, in its last row. Once the platform's
names decide (a strict profile, no processing repository), once a processing repository does. Both
sides are whole processes as a person starts them, imports and reading included; environments are
built before, and the repository is pinned before, as they are from the second file on.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from measure import interleaved, measure  # noqa: E402
from workbook import variable_of  # noqa: E402

MOST = {"platform": 0.2, "repository": 0.6}
WORKFLOW = """\
from pathlib import Path

from nomenclature import DataStructureDefinition, process

here = Path(__file__).absolute().parent


def main(df):
    return process(df, DataStructureDefinition(here / "definitions"))
"""
NAMES = """\
import sys
from ixmp4 import Platform
from ixmp4.db import get_alembic_controller
from ixmp4.transport import DirectTransport
get_alembic_controller(sys.argv[1]).upgrade_database("head")
platform = Platform(DirectTransport.from_dsn(sys.argv[1]))
for name in sys.argv[2].split(","):
    platform.regions.create(name, "common")
for name in sys.argv[3].split(","):
    platform.units.create(name)
"""
REGIONS = [f"Region {number:02d}" for number in range(20)]
SERIES = dict(variable_of(20 * number) for number in range(500))


def write_repository(folder: Path) -> None:
    """Write a processing repository that knows the workbook's variables and regions."""
    for name in ("variable", "region"):
        (folder / "definitions" / name).mkdir(parents=True)
    variables = "".join(f"- {name}:\n    unit: {unit}\n" for name, unit in SERIES.items())
    (folder / "definitions" / "variable" / "variables.yaml").write_text(variables)
    regions = "- common:\n" + "".join(f"  - {name}\n" for name in REGIONS)
    (folder / "definitions" / "region" / "regions.yaml").write_text(regions)
    (folder / "workflow.py").write_text(WORKFLOW)
    example = ROOT / "examples" / "project-workflow" / "requirements.txt"
    (folder / "requirements.txt").write_text(example.read_text())


def write_platform(home: Path, python: Path) -> None:
    """Make a platform that knows all names but one, and the profile that refuses others."""
    dsn = f"sqlite:///{home / 'strict.db'}"
    units = ",".join(sorted(set(SERIES.values())))
    subprocess.run([python, "-c", NAMES, dsn, ",".join(REGIONS), units], check=True)
    profiles = home / "config" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "strict.yaml").write_text("platform: {dsn: 'env:BENCHMARK_DSN'}\n")
    os.environ["BENCHMARK_DSN"] = dsn


def main() -> int:
    """Measure, print medians and ratios; 1 if a ratio is above what the README promises."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--datapoints", type=int, default=1_000_000)
    args = parser.parse_args()
    os.environ["JOBRUNNER_ENVS"] = str(ROOT / ".jobrunner" / "environments")
    from runner.environments import EnvironmentStore
    from runner.processing import pin

    with tempfile.TemporaryDirectory() as name:
        home, book, repository = Path(name, "home"), Path(name, "big.xlsx"), Path(name, "project")
        home.mkdir()
        generator = [sys.executable, ROOT / "benchmarks" / "workbook.py", book]
        generator += ["--datapoints", str(args.datapoints), "--unknown-region", "Atlantis"]
        subprocess.run(generator, check=True)
        write_repository(repository)
        store = EnvironmentStore()
        write_platform(home, store.build(ROOT / "envs" / "ixmp4.yaml") / "bin" / "python")
        pinned = pin(str(repository), store=home / "processing")
        nomenclature = store.build(pinned.environment) / "bin" / "nomenclature"
        run = [sys.executable, "-m", "runner", "run", "import_timeseries", "--home", str(home)]
        run += ["--input", f"workbook={book}"]
        commands = {
            "platform": [*run, "--profile", "strict"],
            "repository": [*run, "--processing", str(repository)],
            "run-workflow": [
                str(nomenclature), "run-workflow", str(book),
                "--workflow-file", str(repository / "workflow.py"),
            ],
        }  # fmt: skip
        for side in ("platform", "repository"):  # links environments and publishes the release
            measure(commands[side], may_fail=True)
            assert "Atlantis" in _last_problems(home), f"{side} does not name the region"
        medians = interleaved(commands, args.rounds, may_fail=True)
    peer = medians["run-workflow"].seconds
    ratios = {side: medians[side].seconds / peer for side in MOST}
    print(f"medians of {args.rounds} rounds, {args.datapoints:,} datapoints:")
    for side, figure in medians.items():
        print(f"  {side:<13} {figure.seconds:6.2f} s")
    for side, ratio in ratios.items():
        print(f"  {side:<13} {ratio:.3f}x (at most {MOST[side]})")
    return int(any(ratio > MOST[side] for side, ratio in ratios.items()))


def _last_problems(home: Path) -> str:
    newest = max((home / "jobs").glob("*/*/*/*"))
    return (newest / "results" / "problems.csv").read_text()


if __name__ == "__main__":
    sys.exit(main())
