"""The job type snapshot against ixmp4's ``tabulate()`` → ``to_csv``, on a PostgreSQL of its own.

Both sides write one csv file of all datapoints. Ours is what a job does for it: the programs of
the stages view and write, one after the other, start of the interpreters included; its memory is
that of the larger one. Datapoints are generated inside the database. The second part measures how
ours grows, with ten times as many.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from measure import Figure, interleaved  # noqa: E402

from tests.postgresql import Server, cluster, running  # noqa: E402

SCRIPTS = ROOT / "workflow" / "snapshot" / "scripts"
LEAST_SPEEDUP, MOST_MEMORY, MOST_GROWTH = 6.0, 0.25, 1.3
REGIONS, VARIABLES, YEARS = 25, 100, 20  # 50,000 datapoints of each scenario
UPGRADE = (
    "import sys; from ixmp4.db import get_alembic_controller as c;"
    " c(sys.argv[1]).upgrade_database('head')"
)
PEER = """
import sys, ixmp4
from ixmp4.transport import DirectTransport
platform = ixmp4.Platform(DirectTransport.from_dsn(sys.argv[1]))
platform.iamc.tabulate().to_csv(sys.argv[2], index=False)
"""
NAMES = (
    "INSERT INTO model (name) VALUES ('Model of the benchmark')",
    "INSERT INTO unit (name) VALUES ('EJ/yr')",
    "INSERT INTO region (name, hierarchy)"
    f" SELECT 'Region ' || n, 'common' FROM generate_series(1, {REGIONS}) n",
    "INSERT INTO iamc_variable (name)"
    f" SELECT 'Final Energy|Sector ' || n || '|Carrier' FROM generate_series(1, {VARIABLES}) n",
    "INSERT INTO iamc_measurand (variable__id, unit__id)"
    " SELECT v.id, u.id FROM iamc_variable v, unit u",
)
FACTS = (
    "INSERT INTO scenario (name) SELECT 'Scenario ' || n FROM generate_series(1, {runs}) n",
    "INSERT INTO run (model__id, scenario__id, version, is_default)"
    " SELECT m.id, s.id, 1, true FROM model m, scenario s",
    "INSERT INTO iamc_timeseries (run__id, region__id, measurand__id)"
    " SELECT r.id, g.id, q.id FROM run r, region g, iamc_measurand q ORDER BY 1, 2, 3",
    "INSERT INTO iamc_datapoint_universal (time_series__id, step_year, type, value)"
    " SELECT t.id, 2000 + 5 * y, 'ANNUAL', random() * 1000 FROM iamc_timeseries t,"
    f" generate_series(1, {YEARS}) y ORDER BY 1, 2",
    "ANALYZE",
)


def python(name: str) -> Path:
    """Build one of the project's environments; give its Python."""
    from runner.environments import EnvironmentStore

    store = ROOT / ".cache" / "benchmark-environments"
    store.mkdir(parents=True, exist_ok=True)
    return EnvironmentStore(store).build(ROOT / "envs" / f"{name}.yaml", [ROOT / "envs"]) / (
        "bin/python"
    )


def ours(interpreter: Path, folder: Path, form: str) -> list[str]:
    """Give the command of a snapshot in one format."""
    view = [interpreter, SCRIPTS / "snapshot_view.py", "--output", folder / "view"]
    view += ["--problems", folder, "--formats", form]
    write = [interpreter, SCRIPTS / "snapshot_write.py", "--view", folder / "view"]
    write += ["--formats", form, "--scratch", folder / "formats"]
    write += ["--output", folder / "data", "--files", folder / "files.json"]
    # the larger of the two counts: the shell's figure is that of what it has waited for
    return ["sh", "-c", " && ".join(shlex.join(map(str, part)) for part in (view, write))]


def generate(server: Server, label: str, datapoints: int) -> str:
    """Make a platform with datapoints; give its address.

    What PostgreSQL would do in the background afterwards is done at once: it must not work while
    anything is measured.
    """
    server.sql("postgres", f"CREATE DATABASE {label} TEMPLATE migrated")
    runs = max(1, datapoints // (REGIONS * VARIABLES * YEARS))
    facts = [statement.format(runs=runs) for statement in FACTS]
    server.sql(label, "SET session_replication_role = replica", *NAMES, *facts)
    server.sql(label, "VACUUM ANALYZE")
    server.sql(label, "CHECKPOINT")
    return server.dsn(label)


def growth(folder: Path, interpreter: Path, dsns: dict[str, str], rounds: int) -> float:
    """Measure a snapshot of each platform; give how much more memory the largest needs."""
    figures: dict[str, Figure] = {}
    for name, dsn in dsns.items():
        os.environ["JOBRUNNER_PLATFORM_DSN"] = dsn
        command = {f"ours, {name}": ours(interpreter, folder, "csv")}
        (figures[name],) = interleaved(command, rounds).values()
    small, large = figures.values()
    return large.megabytes / small.megabytes


def main() -> int:
    """Measure, print medians and ratios; 1 if one is not what the README promises."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--datapoints", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=10, help="how many times more in part two")
    args = parser.parse_args()
    mine, theirs = python("snapshot"), python("ixmp4")
    with tempfile.TemporaryDirectory() as name, cluster() as server, running(server):
        folder, dsns = Path(name), {}
        server.sql("postgres", "CREATE DATABASE migrated")
        subprocess.run([theirs, "-c", UPGRADE, server.dsn("migrated")], check=True)
        dsns["small"] = generate(server, "small", args.datapoints)
        os.environ["JOBRUNNER_PLATFORM_DSN"] = dsns["small"]
        commands = {
            "ours": ours(mine, folder, "csv"),
            "tabulate": [str(theirs), "-c", PEER, dsns["small"], str(folder / "peer.csv")],
        }
        medians = interleaved(commands, args.rounds)
        dsns["large"] = generate(server, "large", args.datapoints * args.times)
        rise = growth(folder, mine, dsns, args.rounds)
    own, peer = medians["ours"], medians["tabulate"]
    faster, memory = peer.seconds / own.seconds, own.megabytes / peer.megabytes
    print(f"medians of {args.rounds} rounds, {args.datapoints:,} datapoints:")
    print(f"  ours     {own.seconds:6.2f} s {own.megabytes:6.0f} MB")
    print(f"  tabulate {peer.seconds:6.2f} s {peer.megabytes:6.0f} MB")
    print(f"  {faster:.1f} times as fast (at least {LEAST_SPEEDUP:g})")
    print(f"  {memory:.3f} of its memory (at most {MOST_MEMORY})")
    print(f"  memory with {args.times} times the datapoints: {rise:.2f} (at most {MOST_GROWTH})")
    return int(faster < LEAST_SPEEDUP or memory > MOST_MEMORY or rise > MOST_GROWTH)


if __name__ == "__main__":
    sys.exit(main())
