"""Solving: reasons why there is no solution, limits, the log, and what marginals mean."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.workflow.solve_models import FLOWS, HARD, NOT_STORED, model
from tests.workflow.solving import Job


def test_an_infeasible_model_names_the_constraints_that_contradict_each_other(
    solve_job: Job,
) -> None:
    solve_job.run(
        model(
            FLOWS + "m.add_constraints(x.sum('i') >= 3 * items.array('b'), name='demand')\n"
            "m.add_constraints(x.sum() >= 1, name='harmless')\nm.add_objective(x.sum())\n",
            "RESULTS = {'harmless': None}",
        )
    )
    assert solve_job.error["code"] == "infeasible"
    fields = {problem["field"] for problem in solve_job.error["problems"]}
    assert {"supply[seattle]", "supply[san-diego]"} <= fields
    assert any(field.startswith("demand[") for field in fields)
    assert "harmless" not in solve_job.error["message"]
    assert "≤ 350" in solve_job.error["message"]
    # irreducible: demand of all but one market could be met
    needed = {"demand[new-york]": 975, "demand[chicago]": 900, "demand[topeka]": 825}
    named = sorted(needed[f] for f in fields if f in needed)
    assert sum(named) > 950 >= sum(named[1:])
    assert not (solve_job.folder / "solution.csv").exists()


def test_a_bound_that_makes_a_model_infeasible_is_named(solve_job: Job) -> None:
    body = """
    x = m.add_variables(lower=0, upper=5, coords=[i], name='y')
    m.add_constraints(x.loc['seattle'] >= 6, name='need')
    m.add_objective(x.sum())
    """
    solve_job.run(model(body))
    assert {p["field"] for p in solve_job.error["problems"]} == {"need", "y[seattle]"}
    assert "bound of y[seattle]: ≤ 5" in solve_job.error["message"]


def test_where_only_integers_make_a_model_infeasible_whole_constraints_are_named(
    solve_job: Job,
) -> None:
    body = """
    n = m.add_variables(lower=0, upper=9, integer=True, coords=[i], name='n')
    m.add_constraints(2 * n.loc['seattle'] - 2 * n.loc['san-diego'] == 1, name='parity')
    m.add_constraints(n <= 8, name='harmless')
    m.add_objective(n.sum())
    """
    solve_job.run(model(body))
    assert solve_job.error["code"] == "infeasible"
    assert [p["field"] for p in solve_job.error["problems"]] == ["parity"]
    assert "cannot hold together for integers" in solve_job.error["message"]


def test_an_unbounded_model_names_the_direction_and_its_constraints(solve_job: Job) -> None:
    solve_job.run(
        model(
            FLOWS.replace("<=", ">=") + "m.add_objective(-x.sum())\n",
        )
    )
    assert solve_job.error["code"] == "unbounded"
    assert "x[" in solve_job.error["message"]
    assert {p["field"] for p in solve_job.error["problems"]} <= {
        "supply[seattle]",
        "supply[san-diego]",
    }
    assert solve_job.error["problems"]


def test_the_time_limit_ends_a_model_that_has_no_solution_yet(solve_job: Job) -> None:
    without_trivial = HARD.replace("<=", ">=").replace("'max'", "'min'")
    solve_job.run(model(without_trivial, NOT_STORED), "--time-limit", "0.0001")
    assert solve_job.error["code"] == "time_limit"
    assert "no solution yet" in solve_job.error["message"]


def test_the_best_solution_at_the_time_limit_is_stored_only_if_it_is_accepted(
    solve_job: Job,
) -> None:
    limited = ("--time-limit", "1", "--options", '{"mip_rel_gap": 0, "presolve": "off"}')
    solve_job.run(model(HARD, NOT_STORED), *limited)
    assert solve_job.error["code"] == "time_limit"
    assert "gap of" in solve_job.error["message"]
    assert not (solve_job.folder / "solution.csv").exists()
    done = solve_job.solve(
        *limited, "--accept", "feasible", plugin=solve_job.plugin(model(HARD, NOT_STORED))
    )
    assert done.returncode == 0, done.stderr
    about = solve_job.document("solution.json")
    assert (about["status"], about["marginals"]) == ("feasible", False)
    assert about["gap"] > 0
    assert about["bound"] > about["objective"]


def test_a_solver_that_does_not_end_is_stopped_from_outside(solve_job: Job) -> None:
    source = "def solve(items, settings):\n    import signal\n    signal.pause()\n"
    solve_job.run(source, "--time-limit", "0.1", "--grace", "0.1")
    assert solve_job.error["code"] == "time_limit"
    assert "was stopped" in solve_job.error["message"]


@pytest.mark.parametrize(
    "wasteful",
    ["return bytearray(4 * 10**9)", "import numpy as np\n    return np.ones(10**9)"],
)
def test_a_model_that_needs_more_memory_than_allowed_is_one_clear_error(
    solve_job: Job, wasteful: str
) -> None:
    solve_job.run(f"def solve(items, settings):\n    {wasteful}\n", "--mem-mb", "600")
    assert solve_job.error["code"] == "out_of_memory"
    assert "600 MB" in solve_job.error["message"]


def test_memory_that_the_solver_itself_lacks_is_the_same_error(solve_job: Job) -> None:
    body = HARD.replace("(80,", "(3000,").replace("(60, 80)", "(4000, 3000)")
    body = body.replace("RangeIndex(60,", "RangeIndex(4000,").replace(", 80)", ", 3000)")
    solve_job.run(model(body, NOT_STORED), "--mem-mb", "500")
    assert solve_job.error["code"] == "out_of_memory"


def test_a_solver_that_is_killed_is_told(solve_job: Job) -> None:
    source = "import os, signal\ndef solve(items, settings):\n    os.kill(os.getpid(), {})\n"
    solve_job.run(source.format("signal.SIGSEGV"))
    assert solve_job.error["code"] == "solver_crashed"
    assert "SIGSEGV" in solve_job.error["message"]
    solve_job.run(source.format("signal.SIGKILL"))
    assert solve_job.error["code"] == "out_of_memory"


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--options", '{"mip_rel_gp": 1}'), "wrong_solver_option", "mip_rel_gap"),
        (("--options", '{"presolve": 7}'), "wrong_solver_option", "presolve"),
        (("--solver", "gurobi"), "unknown_solver", "highs"),
    ],
)
def test_an_unknown_solver_or_option_is_refused(
    solve_job: Job, more: tuple[str, ...], code: str, said: str
) -> None:
    assert solve_job.load().returncode == 0
    assert solve_job.build("--plugin", "transport").returncode == 0
    assert solve_job.solve(*more).returncode == 1
    assert solve_job.error["code"] == code
    assert said in solve_job.error["message"]


def test_the_solvers_log_can_be_read_while_it_works(
    solve_job: Job, stage_env: Any, tmp_path: Path
) -> None:
    plugin = solve_job.plugin(model(HARD, NOT_STORED))
    assert solve_job.load().returncode == 0
    assert solve_job.build(*plugin).returncode == 0
    log = tmp_path / "solve.log"
    python = stage_env("linopy") / "bin" / "python"
    endless = ("--time-limit", "600", "--options", '{"mip_rel_gap": 0, "presolve": "off"}')
    with log.open("w") as stream:
        process = subprocess.Popen(
            [python, *solve_job.solve_command(*endless, plugin=plugin)],
            stdout=stream, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        with log.open() as reader:
            said = ""
            while "BestSol" not in said or said.count("%") < 3:  # two lines of progress
                assert process.poll() is None, said
                os.sched_yield()
                said += reader.read()
    finally:
        process.send_signal(signal.SIGKILL)  # the solver ends with the process that watches it
        process.wait()
    assert "Running HiGHS" in said
    assert not (solve_job.folder / "solution.csv").exists()


def test_marginals_mean_the_same_when_the_objective_is_maximised(solve_job: Job) -> None:
    body = """
    x = m.add_variables(lower=0, coords=[i], name='y')
    m.add_constraints(x.sum() <= 4, name='cap')
    worth = xr.DataArray([3.0, 2.0], coords=[i])
    m.add_objective((x * worth).sum(), sense='max')
    """
    solve_job.run(model(body))
    assert solve_job.solution == {
        ("y", "seattle"): (4, 0), ("y", "san-diego"): (0, -1), ("cap",): (4, 3),
    }  # fmt: skip


def test_masked_parts_have_no_values_and_quadratic_objectives_have_marginals(
    solve_job: Job,
) -> None:
    body = """
    only = xr.DataArray([True, False], coords=[i])
    x = m.add_variables(lower=0, coords=[i], name='y', mask=only)
    m.add_constraints(x.loc['seattle'] >= 3, name='least')
    m.add_objective(x.loc['seattle'] * x.loc['seattle'])
    """
    solve_job.run(model(body))
    assert list(solve_job.solution) == [("y", "seattle"), ("least",)]
    assert solve_job.solution[("least",)] == pytest.approx((3, 6), rel=1e-4)  # d(x²)/dx at 3
