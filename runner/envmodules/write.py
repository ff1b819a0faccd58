"""Module files for the environments of a release, so that an admin need not write them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from runner.envmodules import version_of
from runner.errors import EnvironmentFailed, InvalidRequest, JobRunnerError
from runner.files import atomic
from runner.release import Release
from runner.standin.store import EnvironmentStore

_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TEXT = """\
#%Module1.0
# Written by `jobrunner modules` for release {label}; to change it, run that again.
# {digest}
set prefix {{{prefix}}}

proc ModulesHelp {{}} {{
    puts stderr {{{about}}}
}}
module-whatis {{{about}}}
conflict {name}

if {{![file executable $prefix/bin/python]}} {{
    error "{name}: there is no environment $prefix on this machine"
}}
prepend-path PATH $prefix/bin
unsetenv PYTHONHOME
unsetenv PYTHONPATH
"""
_DEFAULT = '#%Module1.0\nset ModulesVersion "{version}"\n'


def write(
    release: Release,
    folder: Path,
    store: EnvironmentStore,
    *,
    prefix: str = "jobrunner",
    default: bool = False,
) -> dict[str, Path]:
    """Build the environments of a release, or take them if built, and write a module for each.

    Parameters
    ----------
    release : Release
        Has ``envs/*.yaml``.
    folder : Path
        Where module files go, a folder for ``module use``: ``<prefix>/<environment>/<version>``.
    store : EnvironmentStore
        Where environments are built, on storage that all nodes share.
    prefix : str
        First part of the names.
    default : bool
        Whether these become the versions that are loaded if none is named; the first ever do.

    Returns
    -------
    dict
        The module files written, by the name of the module.

    Raises
    ------
    InvalidRequest
        If `prefix` cannot be a part of a name.
    EnvironmentFailed
        If an environment cannot be built, or a file in the way is not ours; the others are written.
    """
    if not _PREFIX.fullmatch(prefix):
        raise InvalidRequest(
            f"{prefix!r} cannot be part of a module's name: letters, digits, . _ -"
        )
    envs = release.folder / "envs"
    written: dict[str, Path] = {}
    wrong: list[str] = []
    for file in sorted(envs.glob("*.yaml")):
        name = f"{prefix}/{file.stem}"
        target = folder.absolute() / name / version_of(release.label)
        try:
            _refuse_other(target, release)
            built = store.build(file, [envs])
            _readable(built)
            _place(target, _text(name, release, file.stem, built))
            if default or not (target.parent / ".version").exists():
                _place(target.parent / ".version", _DEFAULT.format(version=target.name))
        except JobRunnerError as error:
            wrong.append(error.message)
        except OSError as error:
            wrong.append(f"{target} cannot be written: {error}")
        else:
            written[f"{name}/{target.name}"] = target
    if wrong:
        raise EnvironmentFailed("\n".join(wrong), [{"message": message} for message in wrong])
    return written


def _text(name: str, release: Release, environment: str, built: Path) -> str:
    about = f"Environment {environment} of the job runner, release {release.label}"
    return _TEXT.format(
        label=release.label, digest=release.digest, prefix=built, about=about, name=name
    )


def _refuse_other(target: Path, release: Release) -> None:
    if target.is_file() and f"# {release.digest}\n" not in target.read_text(encoding="utf-8"):
        raise InvalidRequest(
            f"{target} is there and not of release {release.label}. Remove it, or choose another "
            "folder or prefix."
        )


def _place(target: Path, text: str) -> None:
    missing = [path for path in target.parents if not path.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    for path in missing:
        path.chmod(0o755)  # whatever the umask: these are for everybody
    with atomic(target) as stream:
        stream.write(text.encode())
    target.chmod(0o644)


def _readable(built: Path) -> None:
    """Let everybody read an environment: it was built with the umask of whoever came first."""
    if built.stat().st_mode & 0o055 == 0o055:
        return
    for base, _, names in os.walk(built):
        for path in (Path(base), *(Path(base, name) for name in names)):
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(mode | (0o055 if mode & 0o100 else 0o044))
