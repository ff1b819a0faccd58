"""Tests that run inside the emulated machine, in a service that may take 300 MB."""

from __future__ import annotations

import os
from pathlib import Path

from runner import limits
from tests.runner.limits_helpers import HOG, Rule


def test_a_kill_for_the_whole_service_is_not_blamed_on_the_limit_of_the_stage(
    tmp_path: Path,
) -> None:
    rule = Rule(tmp_path, mem_mb=1000)
    assert rule.run(f"{HOG} || echo went on").returncode == 137
    note, error = rule.note(), limits.exceeded(rule.attempt, "solve")
    assert note["by"] == "cgroup v2"
    assert error is not None
    assert (error["code"], error["stage"]) == ("machine_out_of_memory", "solve")
    assert f"machine {os.uname().nodename}" in error["message"]
    assert 100 < note["peak_mb"] < 300
    assert rule.left() == []
