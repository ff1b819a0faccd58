"""The environment of a processing repository: as of a date, resolved once, its own."""

from __future__ import annotations

import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner import processing
from runner.environments import EnvironmentStore
from runner.errors import ProcessingFailed
from runner.processing import PinnedProcessing, packages
from runner.standin import pythons, uvtool
from runner.standin.pythons import Interpreter
from tests.runner.environment_helpers import WORKFLOW, Repository, version_of


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def project(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "toy-workflow")


def _commit(project: Repository, requirements: str, date: str = "2023-06-01T12:00:00+02:00") -> str:
    return project.commit(date, workflow_DOT_py=WORKFLOW, requirements_DOT_txt=requirements)


def _pin(project: Repository, store: Path, **options: Any) -> PinnedProcessing:
    return processing.pin(str(project.path), store=store, **{"beside": (), **options})


def _pins(pinned: PinnedProcessing) -> list[str]:
    document = yaml.safe_load(pinned.environment.read_text())
    assert document["dependencies"][0].startswith("python =3.")
    return list(document["dependencies"][2]["pip"])


def test_loose_names_are_resolved_as_of_the_commits_date(project: Repository, store: Path) -> None:
    _commit(project, "packaging\n")
    pinned = _pin(project, store)
    assert _pins(pinned) == ["packaging==23.1"]
    lock = pinned.lock.read_text()
    assert "packaging==23.1" in lock
    assert "--hash=sha256:" in lock
    assert "://" not in lock


def test_another_date_gives_another_environment_of_the_same_checkout(
    project: Repository, store: Path
) -> None:
    _commit(project, "packaging\n")
    first = _pin(project, store)
    # 24.0 was uploaded on that day, which is included
    later = _pin(project, store, as_of=date(2024, 3, 10))
    assert _pins(later) == ["packaging==24.0"]
    assert _pins(_pin(project, store, as_of=date(2024, 3, 9))) == ["packaging==23.2"]
    assert later.checkout == first.checkout
    assert later.as_config()["as_of"] == "2024-03-10"
    assert _pins(_pin(project, store)) == ["packaging==23.1"]


def test_a_commit_is_resolved_once(
    project: Repository, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _commit(project, "packaging\n")
    first = _pin(project, store)

    def again(*_: object, **__: object) -> str:
        raise AssertionError("resolved a second time")

    monkeypatch.setattr(uvtool, "resolve", again)
    assert _pin(project, store).environment == first.environment


def test_the_lock_is_found_through_the_copy_that_snakemake_hands_over(
    project: Repository, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _commit(project, "packaging\n")
    pinned = _pin(project, store)
    copy = tmp_path / ".snakemake" / "conda" / "0123_.yaml"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(pinned.environment.read_bytes())
    environments = EnvironmentStore(tmp_path / "envs")
    prefix = environments.build(copy)
    assert version_of(prefix, "packaging") == "23.1"
    assert not (tmp_path / "envs" / "resolved").exists()  # the lock was used
    assert environments.build(pinned.environment) == prefix


def test_repositories_with_conflicting_pins_both_work(tmp_path: Path, store: Path) -> None:
    found = {}
    for name, version in {"a": "23.0", "b": "24.2"}.items():
        project = Repository(tmp_path / name)
        _commit(project, f"packaging=={version}\nsix\n", "2025-01-15T00:00:00Z")
        prefix = EnvironmentStore(tmp_path / "envs").build(_pin(project, store).environment)
        found[name] = version_of(prefix, "packaging")
    assert found == {"a": "23.0", "b": "24.2"}


def test_what_runs_the_repository_is_added(project: Repository, store: Path) -> None:
    _commit(project, "packaging\n")
    assert _pins(_pin(project, store, beside=("six",))) == ["packaging==23.1", "six==1.16.0"]


def test_without_requirements_nomenclature_of_that_day_is_used(
    project: Repository, store: Path
) -> None:
    project.commit("2025-03-01T12:00:00Z", workflow_DOT_py=WORKFLOW)
    pinned = _pin(project, store)
    assert "nomenclature-iamc==0.23.0" in _pins(pinned)
    assert "no requirements.txt" in pinned.warnings[0]


def test_included_files_and_constraints_are_followed(project: Repository, store: Path) -> None:
    project.commit(
        "2023-06-01T12:00:00Z",
        workflow_DOT_py=WORKFLOW,
        requirements_DOT_txt="# what we need\n-r req/more.txt\n--constraint=limits.txt\n",
        req__more_DOT_txt="-r ../requirements.txt\npackaging >= 22, \\\n  < 99  # any\n",
        limits_DOT_txt="packaging<23\nunused==1.0\n",
    )
    assert _pins(_pin(project, store)) == ["packaging==22.0"]


def test_a_listing_in_utf_16_is_read(project: Repository, store: Path) -> None:
    (project.path / "requirements.txt").write_bytes("packaging==23.0\r\n".encode("utf-16"))
    project.commit("2023-06-01T12:00:00Z", workflow_DOT_py=WORKFLOW)
    assert _pins(_pin(project, store)) == ["packaging==23.0"]


def test_every_line_that_cannot_be_honoured_is_named_with_its_place(
    project: Repository, store: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("six\n")
    _commit(project, f"six\n-e .\n-r {outside}\n--index-url https://example.org/simple\n")
    with pytest.raises(ProcessingFailed) as raised:
        _pin(project, store)
    for place in ("line 2", "line 3", "line 4"):
        assert f"requirements.txt, {place}" in raised.value.message
    assert len(raised.value.problems) == 3


def test_no_solution_comes_with_the_resolvers_explanation(project: Repository, store: Path) -> None:
    _commit(project, "packaging==23.0\npackaging>=24\n")
    with pytest.raises(ProcessingFailed, match="unsatisfiable") as raised:
        _pin(project, store)
    assert "as of 2023-06-01T10:00:00Z" in raised.value.message
    assert "as_of" in raised.value.message


def test_a_package_younger_than_the_commit_is_explained(project: Repository, store: Path) -> None:
    _commit(project, "packaging>=24\n")
    with pytest.raises(ProcessingFailed, match="exclude-newer"):
        _pin(project, store)


def test_a_requirement_from_git_is_fixed_to_its_commit(
    project: Repository, store: Path, tmp_path: Path
) -> None:
    tool = Repository(tmp_path / "tool")
    pyproject = (
        '[project]\nname = "toytool"\nversion = "1.0"\ndescription = "x"\n'
        '[build-system]\nrequires = ["flit_core"]\nbuild-backend = "flit_core.buildapi"\n'
    )
    commit = tool.commit(pyproject_DOT_toml=pyproject, toytool_DOT_py='"""A tool."""\n')
    _commit(project, f"toytool @ git+{tool.path.as_uri()}@main\nsix\n")
    pinned = _pin(project, store)
    assert f"toytool @ git+{tool.path.as_uri()}@{commit}" in _pins(pinned)
    prefix = EnvironmentStore(tmp_path / "envs").build(pinned.environment)
    assert version_of(prefix, "toytool") == "1.0"
    assert version_of(prefix, "six") == "1.16.0"


def test_an_index_without_upload_dates_still_works_with_a_warning(
    project: Repository, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = _wheel(tmp_path)
    index = tmp_path / "index" / "toytool"
    index.mkdir(parents=True)
    wheel.rename(index / wheel.name)
    (index / "index.html").write_text(f"<a href='{wheel.name}'>{wheel.name}</a>")
    monkeypatch.setenv("UV_INDEX", index.parent.as_uri())
    _commit(project, "toytool\npackaging\n")
    pinned = _pin(project, store)
    assert _pins(pinned) == ["packaging==23.1", "toytool==1.0"]
    assert [warning for warning in pinned.warnings if "no upload date of toytool" in warning]
    assert _pin(project, store).warnings == pinned.warnings


def _wheel(tmp_path: Path) -> Path:
    source = tmp_path / "toytool"
    source.mkdir()
    (source / "toytool.py").write_text('"""A tool."""\n')
    (source / "pyproject.toml").write_text(
        '[project]\nname = "toytool"\nversion = "1.0"\ndescription = "x"\n'
        '[build-system]\nrequires = ["flit_core"]\nbuild-backend = "flit_core.buildapi"\n'
    )
    out = tmp_path / "dist"
    command = [uvtool.executable(), "build", "--quiet", "--wheel", "-o", str(out), str(source)]
    subprocess.run(command, check=True, env=uvtool.environment())
    return next(out.glob("*.whl"))


def test_what_is_built_from_source_is_built_with_tools_of_its_day(
    project: Repository, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _commit(project, "packaging\n")
    pinned = _pin(project, store)
    assert pinned.lock.read_text().splitlines()[1] == "# uv: --exclude-newer=2023-06-01T10:00:00Z"
    commands: list[list[str]] = []
    real = uvtool.run

    def observed(arguments: list[str], *rest: Any, **options: Any) -> str:
        commands.append(arguments)
        return real(arguments, *rest, **options)

    monkeypatch.setattr(uvtool, "run", observed)
    EnvironmentStore(tmp_path / "envs").build(pinned.environment)
    assert "--exclude-newer=2023-06-01T10:00:00Z" in commands[-1]


def test_an_old_commit_gets_a_python_that_packages_of_its_day_knew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    new, old = Interpreter("/new", "3.13.1"), Interpreter("/old", "3.11.4")
    monkeypatch.setattr(pythons, "own", lambda: new)
    monkeypatch.setattr(pythons, "installed", lambda: [new, old, Interpreter("/x", "3.9.1")])
    chosen = {day: packages._interpreter(day) for day in _DAYS}
    assert chosen == dict(zip(_DAYS, (new, new, old, old, new), strict=True))


_DAYS = (None, date(2025, 2, 1), date(2024, 11, 1), date(2023, 6, 1), date(2021, 1, 1))


def test_the_environment_file_is_one_for_a_real_conda_too(project: Repository, store: Path) -> None:
    _commit(project, "packaging\n")
    document = yaml.safe_load(_pin(project, store).environment.read_text())
    assert document["channels"] == ["conda-forge", "nodefaults"]
    assert document["dependencies"][1] == "pip"
