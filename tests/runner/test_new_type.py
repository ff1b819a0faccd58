"""A job type of one's own: laid out, checked, and wrong in every way that `types --check` knows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from runner import checking, layout
from runner.errors import InvalidRequest
from tests.composite import pair_source

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted(path.parent for path in ROOT.glob("workflow/*/jobtype.yaml"))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A freshly laid out job type."""
    layout.new_type("count_rows", tmp_path / "own")
    return tmp_path / "own" / "workflow" / "count_rows"


def _change(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))


def _said(folder: Path) -> str:
    return "\n".join(f"{f.file} {f.where} {f.message}" for f in checking.check(folder))


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda path: path.name)
def test_every_job_type_that_we_ship_is_well_formed(folder: Path) -> None:
    assert _said(folder) == ""


def test_a_new_job_type_passes_its_check_and_its_own_test(own: Path) -> None:
    assert _said(own) == ""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=own.parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_a_new_job_type_takes_the_place_of_nothing(own: Path) -> None:
    before = {p: p.read_bytes() for p in own.parents[1].rglob("*") if p.is_file()}
    with pytest.raises(InvalidRequest, match="Nothing was written"):
        layout.new_type("count_rows", own.parents[1])
    with pytest.raises(InvalidRequest, match="small letters"):
        layout.new_type("Count Rows", own.parents[1])
    assert {p: p.read_bytes() for p in own.parents[1].rglob("*") if p.is_file()} == before


def test_a_second_type_shares_what_the_first_one_has(own: Path) -> None:
    (own.parent / "common" / "mine.txt").write_text("kept")
    layout.new_type("other", own.parents[1])
    assert (own.parent / "common" / "mine.txt").read_text() == "kept"
    assert _said(own.parent / "other") == ""


@pytest.mark.parametrize(
    ("old", "new", "where", "said"),
    [
        ("results:\n", "result:\n", "", "Did you mean 'results'?"),
        ("title: Table", "titel: Table", "/inputs/table", "Did you mean 'title'?"),
        ("count: {title: Count}", "cuont: {title: Count}", "/stages/cuont", "Did you mean 'count'"),
        ("count: {title: Count}", "count: {}", "/stages/count", "'title' is a required property"),
        ("results/counts.csv", "work/counts.csv", "/results/counts", "not below results/"),
        ("cores: 1", "cores: none", "/resources/cores", "is not of type 'integer'"),
        ("work: 7d", "work: 7 days", "", "7 days"),
        ("params.schema.yaml", "nowhere.yaml", "", "cannot be read"),
    ],
)
def test_what_is_wrong_in_jobtype_yaml_is_pointed_at(
    old: str, new: str, where: str, said: str, own: Path
) -> None:
    _change(own, "jobtype.yaml", old, new)
    faults = checking.check(own)
    assert [f for f in faults if f.where == where and said in f.message], faults


@pytest.mark.parametrize(
    ("old", "new", "where", "said"),
    [
        ('    log:\n        "logs/count.log",\n', "", "count", "has no log"),
        (
            '    conda:\n        "../../envs/count_rows.yaml"\n    envmodules:\n'
            '        environment_module("count_rows"),\n',
            "",
            "count",
            "has no environment",
        ),
        ("../../envs/count_rows.yaml", "../../envs/gone.yaml", "count", "no environment file"),
        ("rule all:", "rule everything:", "all", "no rule `all`"),
        ("    shell:", "    shel:", "", "line"),
    ],
)
def test_what_is_wrong_in_the_rules_is_named(
    old: str, new: str, where: str, said: str, own: Path
) -> None:
    text = (own / "Snakefile").read_text()
    assert old in text
    (own / "Snakefile").write_text(text.replace(old, new).replace(" > {log} 2>&1", ""))
    faults = checking.check(own)
    assert [f for f in faults if f.where == where and said in f.message], faults


@pytest.mark.parametrize(
    ("old", "new", "where", "said"),
    [
        ("type: string", "type: strnig", "/properties/column/type", "no JSON Schema"),
        ("default: region", "default: 7", "/properties/column/default", "does not fit"),
        ("    title: Column\n    description: The column whose values are counted.\n", "",
         "/properties/column", "for people"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_schema_is_pointed_at(
    old: str, new: str, where: str, said: str, own: Path
) -> None:
    _change(own, "params.schema.yaml", old, new)
    faults = checking.check(own)
    assert [f for f in faults if f.where == where and said in f.message], faults


def test_all_that_is_wrong_is_said_at_once(own: Path) -> None:
    text = yaml.safe_load((own / "jobtype.yaml").read_text())
    text |= {"colour": "red", "needs": ["luck"]}
    (own / "jobtype.yaml").write_text(yaml.safe_dump(text))
    _change(own, "params.schema.yaml", "default: region", "default: 7")
    assert {f.where for f in checking.check(own)} == {"", "/needs/0", "/properties/column/default"}


def test_a_composite_type_is_checked_by_its_own_rules(tmp_path: Path) -> None:
    folder = pair_source(tmp_path) / "workflow" / "pair"
    assert [f.where for f in checking.check(folder)] == ["sum"]  # toys have no environment
    _change(folder, "jobtype.yaml", "type: toy, title: Left", "type: tyo, title: Left")
    assert "tyo" in _said(folder)


def test_the_command_says_where_and_fails(own: Path) -> None:
    _change(own, "jobtype.yaml", "results:\n", "result:\n")
    command = [sys.executable, "-m", "runner", "types", "--check", str(own.parents[1])]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"{own / 'jobtype.yaml'}: 'result' is no key here." in done.stdout
    told = subprocess.run([*command, "--json"], capture_output=True, text=True)
    assert json.loads(told.stdout)[0]["type"] == "count_rows"
    empty = subprocess.run([*command[:-1], str(own / "scripts")], capture_output=True, text=True)
    assert empty.returncode == 2
    assert "has no job type" in empty.stderr
