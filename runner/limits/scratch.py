"""What a rule run has for a time: a temporary folder, control groups, and a note of both."""

from __future__ import annotations

import os
import time

from runner.limits import flat
from runner.limits.settings import Settings

PREFIX = "jobrunner-"
BETWEEN = "\n"  # two control groups in a note: the kernel allows it in the name of none
_VARIABLES = ("TMPDIR", "TMP", "TEMP", "TEMPDIR")  # those that Snakemake sets


def host() -> str:
    """Give the name of this machine."""
    return os.uname().nodename


def make_folder(settings: Settings) -> str | None:
    """Make a new temporary folder; None if there is no place for one."""
    for place in (settings.tmpdir, "/tmp"):  # noqa: S108 - a node of a cluster may have no other
        path = f"{place}/{PREFIX}{os.getpid()}-{time.time_ns():x}"
        try:
            os.mkdir(path, 0o700)
        except OSError:
            continue
        return path
    return None


def use_folder(path: str | None) -> None:
    """Have programs use a temporary folder, or else their own choice."""
    for name in _VARIABLES:
        if path is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = path


def note_file(settings: Settings) -> str:
    """Give the path of the note that says what a rule run has to be freed of."""
    return f"{settings.folder}/running.{host()}.{os.getpid()}.json"


def note(settings: Settings, folder: str | None, groups: list[str]) -> None:
    """Note down what has to be removed, should this process be killed before it can."""
    given: dict[str, flat.Value] = {"tmpdir": folder, "groups": BETWEEN.join(groups)}
    write(note_file(settings), flat.text(given))


def write(path: str, text: str) -> None:
    """Write a file whole or, on a full disk, not at all; either is no reason for a rule to fail."""
    draft = f"{path}.new"
    try:
        with open(draft, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(draft, path)
    except OSError as error:
        os.write(2, f"jobrunner: cannot write {path}: {error.strerror}\n".encode())


def remove_folder(path: str | None) -> None:
    """Remove a temporary folder with all that is in it."""
    if path is None:
        return
    try:
        os.rmdir(path)  # nearly always empty, and then nothing more needs to be imported
    except FileNotFoundError:
        return
    except OSError:
        import shutil

        for parent, _, _ in os.walk(path):
            try:
                os.chmod(parent, 0o700)
            except OSError:
                continue
        shutil.rmtree(path, ignore_errors=True)


def remove_note(settings: Settings) -> None:
    """Remove the note: there is nothing left to be removed."""
    try:
        os.unlink(note_file(settings))
    except OSError:
        return
