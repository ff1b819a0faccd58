"""Jobs per minute: the service with two slots against two plain ``snakemake`` commands at once.

Trivial jobs of one rule. The service has them from its HTTP API, all at once; its time is that from
the first submission to the last end. On the plain side two commands run at any time, each on a
directory that was there before.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from service import Client, Home, make_home, plain_command, plain_job, quiet, up  # noqa: E402

LEAST = 5.0
SLOTS = 2


def by_service(client: Client, jobs: int) -> float:
    """Give the jobs per minute of the service."""
    start = time.perf_counter()
    with ThreadPoolExecutor(SLOTS) as threads:
        submitted = list(threads.map(lambda _: client.submit(), range(jobs)))
        for job_id in submitted:
            client.wait(job_id)
    return 60 * jobs / (time.perf_counter() - start)


def by_commands(home: Home, jobs: int) -> float:
    """Give the jobs per minute of plain commands, two at a time."""
    commands = [plain_command(plain_job(home)) for _ in range(jobs)]
    start = time.perf_counter()
    with ThreadPoolExecutor(SLOTS) as threads:
        codes = list(threads.map(lambda command: quiet(command).wait(), commands))
    seconds = time.perf_counter() - start
    assert set(codes) == {0}, codes
    return 60 * jobs / seconds


def main() -> int:
    """Measure, print medians and ratio; 1 if it is below what the README promises."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=60, help="jobs of the service in a round")
    parser.add_argument("--plain-jobs", type=int, default=10, help="plain commands in a round")
    args = parser.parse_args()
    both: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        home = make_home(Path(folder, "home"))
        with up(home, slots=SLOTS) as client:
            by_service(client, SLOTS)  # the first ones compile and fill caches
            by_commands(home, SLOTS)
            for number in range(args.rounds):
                both.append((by_service(client, args.jobs), by_commands(home, args.plain_jobs)))
                service, plain = both[-1]
                print(f"round {number + 1}: service {service:.0f}/min, plain {plain:.0f}/min")
    service, plain = (statistics.median(side) for side in zip(*both, strict=True))
    ratio = service / plain
    print(f"medians of {args.rounds} rounds, {SLOTS} slots against {SLOTS} plain commands:")
    print(f"  {service:.0f} and {plain:.0f} jobs a minute: {ratio:.2f}x (at least {LEAST:.0f})")
    return int(ratio < LEAST)


if __name__ == "__main__":
    sys.exit(main())
