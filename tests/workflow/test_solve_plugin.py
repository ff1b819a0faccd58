"""Scenarios and model plug-ins: what they get, and errors that say where to look."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from runner.standin.spec import read_spec
from tests.workflow.solve_models import FLOWS, model
from tests.workflow.solving import EXAMPLES, Job
from tests.workflow.warm import Warm


@pytest.mark.parametrize(
    ("where", "more", "code", "said"),
    [
        ({"model": "transport problm"}, (), "unknown_model", "'transport problem'"),
        ({"scenario": "standrad"}, (), "unknown_scenario", "'standard'"),
        ({}, ("--version", "7"), "unknown_version", "Its versions are: 1"),
    ],
)
def test_an_unknown_scenario_is_told_with_what_there_is(
    solve_job: Job, where: dict[str, str], more: tuple[str, ...], code: str, said: str
) -> None:
    assert solve_job.load(*more, **where).returncode == 1
    assert solve_job.error["code"] == code
    assert said in solve_job.error["message"]
    assert not (solve_job.folder / "items.json").exists()


def test_a_scenario_without_items_or_default_version_is_one_error(
    tmp_path: Path, ixmp4_warm: Warm, linopy_warm: Warm, sqlite_platform: Path
) -> None:
    job = Job(tmp_path / "job", ixmp4_warm, linopy_warm, f"sqlite:///{sqlite_platform}")
    job.ask("p.runs.create('transport problem', 'standard')")
    assert job.load().returncode == 1
    assert job.error["code"] == "no_default_version"
    assert job.load("--version", "1").returncode == 1
    assert job.error["code"] == "no_items"


def test_a_plugin_gets_all_items_with_types_order_and_units(solve_job: Job) -> None:
    solve_job.run(
        model(
            FLOWS + "assert list(i) == ['seattle', 'san-diego'] and i.name == 'i'\n"
            "assert items.scalars['f'] == 90 and items.unit('f') == 'USD/km'\n"
            "assert items.parameters['d'].loc[('seattle', 'topeka')] == 1.8\n"
            "assert items.unit('d') == 'km' and items.array('d').dims == ('i', 'j')\n"
            "assert list(items.variables) == ['x', 'z'] and items.variables['x'].empty\n"
            "m.add_objective(x.sum())\n"
        )
    )
    assert not (solve_job.folder / "error.json").exists(), solve_job.error
    assert solve_job.document("solution.json")["objective"] == 0


@pytest.mark.parametrize(
    ("source", "code", "parts"),
    [
        (model("m.variables['y']"), "plugin_failed", ["line 8", "in build", "m.variables['y']"]),
        (model("items.array('bb')"), "wrong_items", ["'bb'", "Did you mean 'b'?", "line 8"]),
        ("def build(items:\n", "plugin_failed", ["plugin.py", "line 1"]),
        ("import gurobify\n", "package_missing", ["'gurobify'", "line 1"]),
        ("def make(items): pass\n", "wrong_plugin", ["build(items)", "make"]),
        ("def build(items): pass\n", "wrong_model", ["NoneType", "return"]),
        (model("x = m.add_variables(name='x')"), "wrong_model", ["no objective"]),
        (model("raise SystemExit(3)"), "plugin_failed", ["SystemExit", "line 8"]),
    ],
)
def test_an_error_of_the_plugin_names_its_line(
    solve_job: Job, source: str, code: str, parts: list[str]
) -> None:
    solve_job.run(source)
    assert solve_job.error["code"] == code
    assert [part for part in parts if part not in solve_job.error["message"]] == []
    assert not (solve_job.folder / "model.nc").exists()
    assert not (solve_job.folder / "model.json").exists()


def test_a_solution_that_could_not_be_stored_is_refused_before_it_is_looked_for(
    solve_job: Job,
) -> None:
    body = """
    x = m.add_variables(coords=[i.rename('k'), j], name='x')
    y = m.add_variables(coords=[i.rename('ii')], name='y')
    v = m.add_variables(coords=[pd.Index(['seattle', 'oslo'], name='i')], name='v')
    m.add_objective(x.sum())
    """
    solve_job.run(model(body, "RESULTS = {'w': 'y'}"))
    assert solve_job.error["code"] == "wrong_names"
    problems = {p["code"]: p for p in solve_job.error["problems"]}
    assert set(problems) == {
        "other_dimensions", "unknown_indexset", "unknown_element", "unknown_result",
    }  # fmt: skip
    assert problems["unknown_indexset"]["suggestions"] == ["i"]
    assert "'oslo'" in problems["unknown_element"]["message"]
    recorded = solve_job.document("results/problems.json")
    assert {p["code"] for p in recorded} == set(problems)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--plugin", "transprot"), "unknown_plugin", "'transport'"),
        (("--plugin", "model.py"), "unknown_plugin", "processing repository"),
        ((), "no_plugin", "capacity_expansion"),
    ],
)
def test_a_plugin_that_is_not_there_is_told_with_those_there_are(
    solve_job: Job, options: tuple[str, ...], code: str, said: str
) -> None:
    assert solve_job.load().returncode == 0
    assert solve_job.build(*options).returncode == 1
    assert solve_job.error["code"] == code
    assert said in solve_job.error["message"]


def test_a_file_and_a_function_of_the_processing_repository_are_found(
    solve_job: Job, tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "helper.py").write_text("ONE = 1\n")
    source = model(FLOWS + "m.add_objective(x.sum())\n")
    (checkout / "other.py").write_text("from helper import ONE\n" + source)
    (checkout / "workflow.py").write_text(source.replace("def build", "def cheapest"))
    assert solve_job.load().returncode == 0
    named = ("--checkout", str(checkout))
    assert solve_job.build(*named, "--plugin", "other.py").returncode == 0, solve_job.error
    assert solve_job.build(*named, "--entry", "cheapest").returncode == 0, solve_job.error
    assert solve_job.build(*named, "--plugin", "othr.py").returncode == 1
    assert "'other.py'" in solve_job.error["message"]


OWN = """
import pandas as pd
RESULTS = {'objective': 'z', 'ship': 'x'}
def solve(items, settings):
    (settings.folder / 'input.txt').write_text('for a program')
    flows = 0.0 * items.parameters['d']
    prices = pd.DataFrame({'level': items.parameters['b'], 'marginal': 1.5})
    return {'status': STATUS, 'objective': 1.0, 'iterations': settings.threads,
            'variables': {'ship': flows}, 'equations': {'demand': prices}}
"""


def test_a_plugin_may_solve_its_model_itself(solve_job: Job) -> None:
    solve_job.run(OWN.replace("STATUS", "'optimal'"), "--threads", "2")
    assert solve_job.solution[("demand", "topeka")] == (275, 1.5)
    assert solve_job.solution[("ship", "seattle", "topeka")] == (0, 0)
    about = solve_job.document("solution.json")
    assert (about["iterations"], about["store"]["variables"]["ship"]["name"]) == (2, "x")
    assert not (solve_job.folder / "plugin").exists()


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (OWN.replace("STATUS", "'infeasible'"), "infeasible"),
        (OWN.replace("STATUS", "'odd'"), "not_optimal"),
        ("def solve(items, settings):\n    return 1\n", "wrong_solution"),
        (OWN.replace("STATUS", "'optimal'").replace("{'demand'", "{'dmand'"), None),
        (OWN.replace("STATUS", "'optimal'").replace("'objective': 1.0,", ""), "wrong_solution"),
    ],
)
def test_what_a_plugin_that_solves_gives_is_checked(
    solve_job: Job, source: str, code: str | None
) -> None:
    solve_job.run(source)
    assert (solve_job.folder / "error.json").exists() == (code is not None)
    assert code is None or solve_job.error["code"] == code


def test_the_plugin_for_gams_is_ready_where_gams_is_and_says_so_where_it_is_not(
    solve_job: Job,
) -> None:
    gams = EXAMPLES / "gams"
    spec = read_spec(gams / "environment.yaml")
    assert all(line.count("==") == 1 for line in spec.requirements)
    assert any(line.startswith("gamspy==") for line in spec.requirements)
    assert solve_job.load().returncode == 0
    print("the model is not solved here: the environment of linopy has no GAMS", file=sys.stderr)
    assert solve_job.build("--file", str(gams / "transport_gams.py")).returncode == 1
    assert solve_job.error["code"] == "package_missing"
    assert "'gamspy'" in solve_job.error["message"]
