from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from runner.errors import InvalidConfiguration, InvalidInput, InvalidRequest
from runner.jobtype import JobType, parse_size

from .conftest import TOY


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TOY / "workflow" / "toy", tmp_path / "toy"))


def test_wrong_parameters_are_all_named_with_their_pointers(folder: Path) -> None:
    with pytest.raises(InvalidRequest) as caught:
        JobType.load(folder).complete_params({"word": "x" * 11, "command": 3, "more": 1})
    pointers = [problem["pointer"] for problem in caught.value.problems]
    assert pointers == ["/params", "/params/command", "/params/word"]


def test_defaults_fill_what_is_not_given(folder: Path) -> None:
    complete = JobType.load(folder).complete_params({"word": "other"})
    assert complete == {"word": "other", "command": "true"}


def test_an_unknown_stage_is_refused_with_the_known_ones(folder: Path) -> None:
    with pytest.raises(InvalidRequest, match="first, second, third"):
        JobType.load(folder).stage("fourth")


@pytest.mark.parametrize("name", ["x.doc", "x", "txt"])
def test_a_file_of_another_kind_is_refused_with_the_accepted_ones(folder: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match=r"\.txt"):
        JobType.load(folder).inputs["text"].suffix_of(name)


@pytest.mark.parametrize(
    "line",
    ["unknown: 1", "stages: {first: {}}", "inputs: {a: {}}", "title: [", "params: none.yaml"],
)
def test_a_wrong_jobtype_file_is_an_error_that_names_the_file(folder: Path, line: str) -> None:
    path = folder / "jobtype.yaml"
    key = line.split(":", maxsplit=1)[0]
    kept = [row for row in path.read_text().splitlines() if not row.startswith(key)]
    path.write_text("\n".join([*(r for r in kept if key != "stages" or r[0] != " "), line]))
    with pytest.raises(InvalidConfiguration, match=r"jobtype\.yaml|none\.yaml"):
        JobType.load(folder)


@pytest.mark.parametrize(("text", "size"), [("500 MB", 500_000_000), ("1kB", 1000), (12, 12)])
def test_sizes_are_powers_of_ten(text: str | int, size: int) -> None:
    assert parse_size(text) == size


def test_a_size_without_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="no size"):
        parse_size("many")
