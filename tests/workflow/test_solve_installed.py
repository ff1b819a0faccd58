"""Model plug-ins that are installed: found by entry point, their errors told by their own line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.workflow.solve_models import HEAD, model
from tests.workflow.solving import Job
from tests.workflow.warm import Warm, warm

ENTRY_POINTS = """
[jobrunner.models]
valleys = valleys.model
broken = valleys.broken
incomplete = valleys.incomplete
lonely = lonely
function = valleys.model:build
gone = valleys_of_old.model

[other.group]
elsewhere = valleys.model
"""
CHEAPEST = """
from valleys.helper import demand
x = m.add_variables(lower=0, coords=[i, j], name='x')
m.add_constraints(x.sum('j') <= items.array('a'), name='supply')
m.add_constraints(x.sum('i') >= demand(items), name='demand')
m.add_objective((items.array('d') * items.scalars['f'] / 1000 * x).sum())
"""
FILES = {
    "valleys/__init__.py": "",
    "valleys/helper.py": "def demand(items):\n    return items.array('b')\n",
    "valleys/model.py": model(CHEAPEST, "RESULTS = {'objective': 'z'}\n"),
    "valleys/broken.py": "def build(items):\n    pass\n\n\nNUMBER = int('none')\n",
    "valleys/incomplete.py": "import gurobify\n",
    "lonely.py": f"{HEAD}import library\ndef build(items):\n    return library.fails()\n",
    "library.py": "def fails():\n    raise ValueError('not this line')\n",
    "valleys-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: valleys\nVersion: 1.0\n",
    "valleys-1.0.dist-info/entry_points.txt": ENTRY_POINTS,
}


@pytest.fixture(scope="module")
def with_valleys(
    stage_env: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warm]:
    """Give linopy's interpreter with a package in it that brings models."""
    folder = tmp_path_factory.mktemp("installed") / "site-packages"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        python = stage_env("linopy") / "bin" / "python"
        place = tmp_path_factory.mktemp("warm")
        with warm(python, place, "linopy", "highspy", "netCDF4") as waiting:
            yield waiting


@pytest.fixture
def job(solve_job: Job, with_valleys: Warm) -> Job:
    """Give a job whose plug-in's environment has that package."""
    solve_job.linopy = with_valleys
    loaded = solve_job.load()
    assert loaded.returncode == 0, loaded.stderr
    return solve_job


def test_the_model_of_an_installed_package_is_built_and_solved(job: Job) -> None:
    plugin = ("--plugin", "valleys")
    for done in (job.build(*plugin), job.solve(plugin=plugin)):
        assert done.returncode == 0, done.stderr
    assert job.document("model.json")["plugin"] == "valleys"
    assert job.document("solution.json")["objective"] == pytest.approx(153.675)
    assert job.solution[("demand", "topeka")] == (275, pytest.approx(0.126))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("valeys", ["'valeys'", "jobrunner.models", "'valleys'"]),
        ("nothing-like-it", ["There are: capacity_expansion, transport, broken,", "valleys."]),
    ],
)
def test_an_entry_point_that_is_not_there_is_told_with_those_there_are(
    job: Job, name: str, parts: list[str]
) -> None:
    assert job.build("--plugin", name).returncode == 1
    assert job.error["code"] == "unknown_plugin"
    assert [part for part in parts if part not in job.error["message"]] == []
    assert "elsewhere" not in job.error["message"]


@pytest.mark.parametrize(
    ("name", "code", "parts"),
    [
        ("broken", "plugin_failed", ["line 5 of broken.py", "NUMBER = int('none')"]),
        ("incomplete", "package_missing", ["'gurobify'", "line 1 of incomplete.py"]),
        ("gone", "package_missing", ["'valleys_of_old'"]),
        ("lonely", "plugin_failed", ["in line 7, in build", "library.fails()", "not this line"]),
        ("function", "wrong_plugin", ["valleys.model:build", "no module"]),
    ],
)
def test_an_error_of_an_installed_plugin_names_its_own_line(
    job: Job, name: str, code: str, parts: list[str]
) -> None:
    assert job.build("--plugin", name).returncode == 1
    assert job.error["code"] == code
    assert [part for part in parts if part not in job.error["message"]] == []
    assert "model_plugin.py" not in job.error["message"]
    assert not (job.folder / "model.json").exists()
