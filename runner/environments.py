"""Stage environments: which tool makes them, and what an attempt must set for it."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from runner.errors import EnvironmentFailed, InvalidConfiguration, MissingTool
from runner.standin import locks, pythons, store, uvtool
from runner.standin.locking import exclusive
from runner.standin.store import EnvironmentStore

__all__ = [
    "EnvironmentStore",
    "builder",
    "creation_lock",
    "deployment",
    "environment_variables",
    "find_conda",
    "prefix_folder",
    "resolve_mode",
    "standin_folder",
]

Mode = Literal["conda", "uv", "modules", "none"]
_MARK = b"stand-in of jobrunner"
_TEMPLATES = Path(__file__).resolve().parent / "standin"


def find_conda(path: str | None = None) -> str | None:
    """Give the first real ``conda`` on a search path; the runner's own stand-in is none.

    Parameters
    ----------
    path : str, optional
        A search path; without it ``PATH``.
    """
    for folder in (path if path is not None else os.environ.get("PATH", "")).split(os.pathsep):
        found = shutil.which("conda", path=folder or os.curdir)
        if found is not None:
            with open(found, "rb") as stream:
                if _MARK not in stream.read(400).lower():
                    return found
    return None


def resolve_mode(mode: str, path: str | None = None) -> Mode:
    """Decide how stage environments are made.

    Parameters
    ----------
    mode : str
        The setting ``environments``: ``auto`` (conda if there is one, else uv), ``conda``, ``uv``,
        ``modules`` (environment modules) or ``none`` (rules run with what is on ``PATH``).
    path : str, optional
        Search path for ``conda``; without it ``PATH``.

    Raises
    ------
    MissingTool
        If the tool asked for is not there.
    InvalidConfiguration
        If there is no such mode.
    """
    if mode == "none":
        return "none"
    if mode == "modules":
        return "modules"  # whether there are any is seen where a rule runs
    if mode in ("auto", "conda") and find_conda(path) is not None:
        return "conda"
    if mode in ("auto", "uv"):
        uvtool.executable()
        return "uv"
    if mode == "conda":
        raise MissingTool(
            "The setting `environments: conda` needs conda on PATH, and there is none. Install it "
            "(for example Miniforge), or set `environments: auto` to build with uv."
        )
    raise InvalidConfiguration(f"environments: {mode!r} is none of auto, conda, uv, modules, none.")


def builder(mode: Mode, path: str | None = None) -> Mode:
    """Give what builds environments: with modules, those for which there is no module.

    Nobody has a module of the packages of a processing repository, or of a plug-in that was
    submitted: their environments are made as without modules.

    Parameters
    ----------
    mode : str
        What `resolve_mode` decided.
    path : str, optional
        Search path for ``conda``; without it ``PATH``.
    """
    return resolve_mode("auto", path) if mode == "modules" else mode


def standin_folder(root: Path | None = None) -> Path:
    """Give the folder with the stand-in's ``conda`` and ``activate``, to be put first on PATH.

    It is written on first use: the scripts name this runner's interpreter, so they work for a bare
    ``snakemake`` that knows nothing else of the runner.

    Parameters
    ----------
    root : Path, optional
        The environment store; without it the default one.

    Raises
    ------
    EnvironmentFailed
        If it cannot be written.
    """
    parent = (root.absolute() if root is not None else store.default_root()) / "standin"
    scripts = {name: (_TEMPLATES / "bin" / name).read_text() for name in ("conda", "activate")}
    interpreter, main = sys.executable, str(_TEMPLATES / "__main__.py")
    content = "\0".join([shlex.quote(str(parent)), interpreter, main, *scripts.values()])
    base = parent / hashlib.sha256(content.encode()).hexdigest()[:12]
    # quoted: Snakemake puts it into `source …/bin/activate` as it is
    info = json.dumps({"conda_prefix": shlex.quote(str(base)), "platform": conda_platform()})
    named = {"info": info, "python": interpreter, "main": main, "root": str(parent.parent)}
    for name, value in named.items():
        scripts["conda"] = scripts["conda"].replace(f"@{name}@", shlex.quote(value))
    if not all(os.access(base / "bin" / name, os.X_OK) for name in scripts):
        try:
            _place(base, scripts)
        except OSError as error:
            raise EnvironmentFailed(
                f"The stand-in for conda cannot be written to {parent}: {error}. Name a folder "
                f"that can be written in {store.VARIABLE}."
            ) from error
    return base / "bin"


def _place(base: Path, scripts: Mapping[str, str]) -> None:
    (base / "bin").mkdir(parents=True, exist_ok=True)
    for name, text in scripts.items():
        draft = base / "bin" / f".{name}.{secrets.token_hex(4)}"
        draft.write_text(text)
        draft.chmod(0o755)  # before it has its name: another job may be about to run it
        draft.replace(base / "bin" / name)


def conda_platform() -> str:
    """Give conda's name of this platform, for example ``linux-64``."""
    system = {"linux": "linux", "darwin": "osx", "win32": "win"}.get(sys.platform, sys.platform)
    machine = platform.machine().lower()
    return f"{system}-{'64' if machine in ('x86_64', 'amd64') else machine}"


def environment_variables(
    mode: Mode,
    *,
    root: Path | None = None,
    lock_folders: Sequence[Path] = (),
    base: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Give the variables that an attempt sets before it starts Snakemake.

    Parameters
    ----------
    mode : {"conda", "uv", "modules", "none"}
        What `resolve_mode` decided; only uv needs any, also where it builds beside modules (for
        these see `runner.envmodules`).
    root : Path, optional
        The environment store; without it the default one.
    lock_folders : sequence of Path
        Folders with ``*.lock`` files to look at first, for example the ``envs/`` of a release.
    base : mapping, optional
        The variables as they are; without it those of this process.
    """
    if builder(mode) != "uv":
        return {}
    known = os.environ if base is None else base
    rest = [part for part in known.get("PATH", "").split(os.pathsep) if part]
    named = [part for part in known.get(locks.VARIABLE, "").split(os.pathsep) if part]
    folder = str(standin_folder(root))
    return {
        "PATH": os.pathsep.join([folder, *(part for part in rest if part != folder)]),
        store.VARIABLE: str(EnvironmentStore(root).root),
        locks.VARIABLE: os.pathsep.join([*(str(f.absolute()) for f in lock_folders), *named]),
    }


def prefix_folder(
    mode: Mode, *, root: Path | None = None, lock_folders: Sequence[Path] = ()
) -> Path | None:
    """Give what goes to Snakemake's ``--conda-prefix``, shared between jobs.

    Snakemake names an environment there by its file alone. Locks decide versions as well, so with
    uv each set of locks (a release has its own) and each Python gets a folder of links: a job never
    runs in an environment that was made from another release's lock.

    Parameters
    ----------
    mode, root, lock_folders
        As for `environment_variables`.

    Returns
    -------
    Path or None
        The folder; None if rules run without environments.
    """
    base, made_by = EnvironmentStore(root).root, builder(mode)
    if made_by != "uv":
        return base / "conda" if made_by == "conda" else None
    python = pythons.own()
    total = hashlib.sha256(f"{store.LAYOUT}\0{python.path}\0{python.version}\0".encode())
    for folder in lock_folders:
        for lock in sorted(folder.glob("*.lock")):
            total.update(lock.read_bytes())
    return base / "links" / total.hexdigest()[:12]


def deployment(mode: Mode, prefix: Path | None) -> list[str]:
    """Give Snakemake's arguments for the environments of rules.

    Parameters
    ----------
    mode : str
        What `resolve_mode` decided.
    prefix : Path or None
        What `prefix_folder` gave.
    """
    if mode == "none" or prefix is None:
        return []
    methods = ["env-modules", "conda"] if mode == "modules" else ["conda"]
    return ["--software-deployment-method", *methods, "--conda-prefix", str(prefix)]


@contextmanager
def creation_lock(conda_prefix: Path) -> Iterator[None]:
    """Hold the lock under which a real conda makes environments in a shared prefix.

    Two Snakemakes that make the same environment at once would remove each other's unfinished one.
    So an attempt in mode ``conda`` first runs ``snakemake … --conda-create-envs-only`` within this
    lock, and then the job without it.

    Parameters
    ----------
    conda_prefix : Path
        What goes to ``--conda-prefix``; made if missing.
    """
    conda_prefix.mkdir(parents=True, exist_ok=True)
    with exclusive(conda_prefix / ".jobrunner.lock", "another job's conda"):
        yield
