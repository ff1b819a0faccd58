"""A warm attempt against the plain ``snakemake`` command on a job of three rules: wall time.

The warm side is what a worker does for each job: fork, run, wait, write the outcome. The imports
that it made once, before it waited for jobs, are not part of an attempt. The plain side is the
command a person types, on an equal directory.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from runner import command, launch
from runner.home import Home
from runner.prepared import Prepared

TOY = Path(__file__).resolve().parents[1] / "tests" / "data" / "toy"
PROFILE = "platform: {embedded: none.db}\nenvironments: none\n"


def _job(home: Home, text: Path) -> Prepared:
    inputs = {"text": text}
    return launch.create(home, "toy", inputs=inputs, params={}, version="1", profile_name="plain")


def _warm(prepared: Prepared) -> float:
    start = time.perf_counter()
    outcome = prepared.start(prepared.options(cores=2)).wait()
    seconds = time.perf_counter() - start
    assert outcome == "succeeded", outcome
    return seconds


def _plain(prepared: Prepared) -> float:
    arguments = ["-s", str(prepared.job_type.snakefile), "--directory", str(prepared.job.path)]
    arguments += ["--configfile", str(prepared.job.path / "job.yaml"), "--cores", "2"]
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "snakemake", *arguments], check=True, capture_output=True)
    seconds = time.perf_counter() - start
    assert (prepared.job.path / "results" / "third.txt").is_file()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    command.warm()
    ratios, both = [], []
    with tempfile.TemporaryDirectory() as folder:
        home, text = Home(Path(folder, "home")), Path(folder, "in.txt")
        text.write_text("one two\n")
        (home.path / "config" / "profiles").mkdir(parents=True)
        (home.path / "config" / "profiles" / "plain.yaml").write_text(PROFILE)
        home.releases.publish(str(TOY), "1")
        for number in range(rounds):
            warm, plain = _warm(_job(home, text)), _plain(_job(home, text))
            ratios.append(warm / plain)
            both.append((warm, plain))
            print(f"round {number + 1}: warm {warm:.3f} s, plain {plain:.3f} s")
    warm, plain = (statistics.median(side) for side in zip(*both, strict=True))
    ratio = statistics.median(ratios)
    print(f"median: warm {warm:.3f} s, plain {plain:.3f} s, ratio {ratio:.3f} (bound 0.10)")


if __name__ == "__main__":
    main()
