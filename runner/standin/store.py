"""The store of environments: shared between jobs, keyed by content, whole or not there.

Layout below the root::

    <key> -> <key>.<token>    link to the one complete build of that content
    <key>.<token>/            a build; complete if it has `jobrunner-environment.json`
    locks/<key>               held while somebody builds that content
    resolved/<digest>.txt     exact versions of files that came without a lock
    builds.jsonl              one line for each finished build

A build stays where it was made, because its scripts name its path. It gets a name of its own, so
what a killed build left running writes nowhere that matters.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from runner.errors import EnvironmentFailed
from runner.files import atomic, now, write_json
from runner.standin import locks, pythons, uvtool
from runner.standin.lease import held_by_one_machine
from runner.standin.pythons import Interpreter
from runner.standin.requirements import options_and_packages
from runner.standin.spec import EnvironmentSpec, read_spec

VARIABLE = "JOBRUNNER_ENVS"
MARKER = "jobrunner-environment.json"
LAYOUT = 1  # raised when environments are built in another way: old ones are then left alone


def default_root() -> Path:
    """Give the store's folder: ``JOBRUNNER_ENVS``, else in the user's cache."""
    if named := os.environ.get(VARIABLE):
        return Path(named).absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache).absolute() / "jobrunner" / "envs"


class EnvironmentStore:
    """Environments below one folder, which several hosts may share.

    Parameters
    ----------
    root : Path, optional
        The folder; without it `default_root`.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root.absolute() if root is not None else default_root()

    def build(self, env_file: Path, lock_places: Sequence[Path] = ()) -> Path:
        """Give the environment that a file describes, and build it if nobody has yet.

        Parameters
        ----------
        env_file : Path
            A conda environment file that needs only ``python`` and ``pip:`` packages.
        lock_places : sequence of Path
            Lock files, or folders with them, to look at before the usual places.

        Returns
        -------
        Path
            The environment; its interpreter is ``bin/python`` in it. It never changes.

        Raises
        ------
        EnvironmentFailed
            If it needs conda, a Python that is not there, or packages that do not fit together.
        """
        spec = read_spec(env_file)
        lock = locks.find(spec, lock_places)
        python = pythons.find(spec.python, env_file)
        key = _key(spec, lock, python)
        if (ready := self._ready(key)) is not None:
            return ready
        try:
            (self.root / "locks").mkdir(parents=True, exist_ok=True)
            lock_file = self.root / "locks" / key
            with held_by_one_machine(lock_file, f"another build of {env_file.name}"):
                return self._ready(key) or self._build(spec, lock, python, key)
        except OSError as error:
            raise EnvironmentFailed(
                f"The environment {env_file} cannot be built in {self.root}: {error}. Free some "
                f"space there, or name another folder in {VARIABLE}."
            ) from error

    def _ready(self, key: str) -> Path | None:
        for path in sorted(self.root.glob(f"{key}.*")):
            # bin/python leads to an interpreter that may have been removed since
            if (path / MARKER).is_file() and os.access(path / "bin" / "python", os.X_OK):
                with contextlib.suppress(OSError):  # time of last use; somebody else's is fine
                    os.utime(path / MARKER)
                return path
        return None

    def _build(
        self, spec: EnvironmentSpec, lock: str | None, python: Interpreter, key: str
    ) -> Path:
        for left in self.root.glob(f"{key}.*"):
            shutil.rmtree(left, ignore_errors=True)  # of a build that was killed: we hold its lock
        print(f"Building environment {spec.file.name} …", file=sys.stderr, flush=True)
        started, prefix = time.monotonic(), self.root / f"{key}.{secrets.token_hex(4)}"
        try:
            source = "lock" if lock else "resolved"
            text = lock or self._resolved(spec, python)
            _install(spec, text, python, prefix)
            record = {
                "file": str(spec.file),
                "key": key,
                "python": python.version,
                "packages": source,
                "built": now(),
                "seconds": round(time.monotonic() - started, 1),
            }
            write_json(prefix / MARKER, record)
        except BaseException:
            shutil.rmtree(prefix, ignore_errors=True)
            raise
        replace_link(self.root / key, prefix)
        with (self.root / "builds.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")
        return prefix

    def _resolved(self, spec: EnvironmentSpec, python: Interpreter) -> str:
        """Resolve a file that has no lock once; whoever asks again gets the same versions."""
        minor = python.version.rsplit(".", 1)[0]
        target = self.root / "resolved" / f"{_digest([*spec.requirements, minor])}.txt"
        if not target.is_file():
            extra, packages = options_and_packages(spec.requirements)
            text = uvtool.resolve(
                "\n".join(packages),
                problem=f"The packages of {spec.file} do not fit together",
                options=["--python", python.path, *extra],
            )
            target.parent.mkdir(exist_ok=True)
            with atomic(target) as stream:
                stream.write(text.encode())
        return target.read_text(encoding="utf-8")


def _install(spec: EnvironmentSpec, lock: str, python: Interpreter, prefix: Path) -> None:
    problem = f"The environment {spec.file} could not be built"
    uvtool.run(["venv", "--no-project", "--python", python.path, str(prefix)], problem)
    packages = locks.body(lock)
    if not packages.strip():
        return
    extra, _ = options_and_packages(spec.requirements)
    command = ["pip", "install", "--python", str(prefix / "bin" / "python"), "--compile-bytecode"]
    # git requirements have no hash; those of all others are checked all the same
    command += [] if "git+" in packages else ["--require-hashes"]
    command += [*extra, *locks.uv_options(lock), "-r", "-"]
    uvtool.run(command, problem, stdin=packages)


def _key(spec: EnvironmentSpec, lock: str | None, python: Interpreter) -> str:
    packages = locks.body(lock) if lock else ""
    content = [str(LAYOUT), *sorted(spec.requirements), packages, python.version, python.path]
    return _digest([*content, sys.platform, os.uname().machine])


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def replace_link(link_path: Path, target: Path) -> None:
    """Let `link_path` lead to `target`, in one step: at no time is it missing or half."""
    temporary = link_path.with_name(f".{link_path.name}.{secrets.token_hex(4)}")
    temporary.symlink_to(target)
    try:
        temporary.replace(link_path)
    except OSError:
        temporary.unlink()
        raise


def link(prefix: Path, environment: Path) -> None:
    """Let Snakemake's environment folder be a link into the store.

    Snakemake removes an environment folder that lacks its own flag file, which it writes last. So
    the flag comes first: another Snakemake that looks at the same time sees a finished environment
    or none.

    Parameters
    ----------
    prefix : Path
        What Snakemake gave as ``--prefix``.
    environment : Path
        The environment in the store.

    Raises
    ------
    EnvironmentFailed
        If a folder, not a link, is in the way.
    """
    prefix.parent.mkdir(parents=True, exist_ok=True)
    prefix.with_suffix(".env_setup_done").touch()
    try:
        replace_link(prefix, environment)
    except IsADirectoryError:
        raise EnvironmentFailed(
            f"{prefix} is a folder, made by a real conda perhaps. Remove it, then try again."
        ) from None
