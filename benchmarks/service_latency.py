"""From submission to the first stage and to the end: the service against plain ``snakemake``.

A job of one trivial rule is submitted through the HTTP API of a real `jobrunner up`, and its end
is heard from the stream of its events, as a web application would. The plain side is the command a
person types, on an equal directory. Idle machine, one job at a time.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from service import (  # noqa: E402
    Client,
    Home,
    make_home,
    plain_command,
    plain_job,
    quiet,
    rule_ran,
    up,
)

MOST_DONE = 0.3


def by_service(client: Client, home: Home) -> tuple[float, float]:
    """Give the seconds to the first stage and to the end of a job of the service."""
    clock, start = time.time(), time.perf_counter()
    job_id = client.submit()
    client.wait(job_id)
    done = time.perf_counter() - start
    return rule_ran(home.job(job_id).path) - clock, done


def by_command(home: Home) -> tuple[float, float]:
    """Give the same of the plain command, whose directory is there already."""
    prepared = plain_job(home)
    clock, start = time.time(), time.perf_counter()
    code = quiet(plain_command(prepared)).wait()
    done = time.perf_counter() - start
    assert code == 0, code
    return rule_ran(prepared.job.path) - clock, done


def main() -> int:
    """Measure, print medians and ratios; 1 if a ratio is above what the README promises."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    found: dict[str, list[tuple[float, float]]] = {"service": [], "snakemake": []}
    with tempfile.TemporaryDirectory() as folder:
        home = make_home(Path(folder, "home"))
        with up(home, slots=2) as client:
            by_service(client, home)  # the first one compiles and fills caches
            by_command(home)
            for number in range(rounds):
                found["service"].append(by_service(client, home))
                found["snakemake"].append(by_command(home))
                (first, done), (plain_first, plain_done) = (f[-1] for f in found.values())
                print(
                    f"round {number + 1}: first stage {first:.3f} s, {plain_first:.3f} s; "
                    f"done {done:.3f} s, {plain_done:.3f} s"
                )
    medians = {
        side: [statistics.median(column) for column in zip(*rows, strict=True)]
        for side, rows in found.items()
    }
    (first, done), (plain_first, plain_done) = medians.values()
    print(f"medians of {rounds} rounds, service against plain snakemake:")
    print(f"  first stage {first:.3f} s, {plain_first:.3f} s: {first / plain_first:.3f}x")
    ratio = done / plain_done
    print(f"  done        {done:.3f} s, {plain_done:.3f} s: {ratio:.3f}x (at most {MOST_DONE})")
    return int(ratio > MOST_DONE)


if __name__ == "__main__":
    sys.exit(main())
