"""Files of a job by kind, those of its sub-jobs with them: counted, set aside, deleted."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from runner.jobdir import SUB_JOBS

_PLACES = {"work": ("work",), "results": ("results",), "logs": ("logs", ".snakemake/log")}
_ASIDE = ".removed-"  # in the job directory: ``.removed-KIND-…``


@dataclass(frozen=True)
class Amount:
    """How much: number of files and their bytes."""

    files: int = 0
    bytes: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.files + other.files, self.bytes + other.bytes)

    def __str__(self) -> str:
        number = "1 file" if self.files == 1 else f"{self.files:,} files"
        return f"{number}, {told_size(self.bytes)}"


def told_size(number: float) -> str:
    """Give a number of bytes for people: ``3.4 MB``."""
    if number < 1000:
        return f"{number:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 1000:
            return f"{number:.1f} {unit}"
    return f"{number / 1000:.1f} TB"


def measure(root: Path, kinds: Iterable[str]) -> dict[str, Amount]:
    """Count the files of some kinds in a job directory, those set aside included."""
    return {kind: sum(map(_amount, _all_of(root, kind)), Amount()) for kind in kinds}


def is_empty(root: Path, kind: str) -> bool:
    """Tell whether there are no files of a kind where they belong."""
    return not any(map(content, _places(root, kind)))


def kinds_aside(root: Path) -> list[str]:
    """Give the kinds of which something is set aside."""
    return [kind for kind in _PLACES if any(root.glob(f"{_ASIDE}{kind}-*"))]


@contextmanager
def set_aside(root: Path, kinds: Iterable[str]) -> Iterator[None]:
    """Move files out of sight, at once and whole; back again if the block fails."""
    moved: list[tuple[Path, Path]] = []
    try:
        for kind in kinds:
            for place in filter(content, _places(root, kind)):
                aside = root / f"{_ASIDE}{kind}-{secrets.token_hex(4)}"
                mode = stat.S_IMODE(place.stat().st_mode)
                place.rename(aside)
                moved.append((place, aside))
                with suppress(OSError):  # an attempt makes it, too
                    place.mkdir()
                    place.chmod(mode)
        yield
    except BaseException:
        for place, aside in moved:
            with suppress(OSError):
                place.rmdir()
            with suppress(OSError):
                aside.rename(place)
        raise


def throw_away(root: Path) -> None:
    """Delete what was set aside; what refuses stays for later."""
    for aside in root.glob(f"{_ASIDE}*"):
        if aside.is_symlink() or not aside.is_dir():
            aside.unlink(missing_ok=True)
        else:
            shutil.rmtree(aside, onerror=_allow)


def content(folder: Path) -> list[Path]:
    """Give what is in a folder; nothing, if it is not there."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return list(folder.iterdir())
    return []


def _allow(remove: Callable[[str], object], path: str, _: object) -> None:
    """Delete in a folder that its owner has closed, to writing or to reading."""
    closed = not os.access(path, os.R_OK | os.X_OK)
    with suppress(OSError):
        Path(path).parent.chmod(0o700)
        if remove in (os.unlink, os.rmdir):
            remove(path)
        elif closed:  # nobody could look into it
            Path(path).chmod(0o700)
            shutil.rmtree(path, onerror=_allow)


def _all_of(root: Path, kind: str) -> Iterator[Path]:
    yield from _places(root, kind)
    yield from root.glob(f"{_ASIDE}{kind}-*")


def _places(root: Path, kind: str) -> Iterator[Path]:
    for folder in (root, *sorted(root.glob(f"{SUB_JOBS}/*"))):
        if folder.is_dir() and not folder.is_symlink():
            yield from (folder / place for place in _PLACES[kind])


def _amount(folder: Path) -> Amount:
    if folder.is_symlink():  # what it leads to is not the job's
        return Amount()
    files = size = 0
    for name, _, names in os.walk(folder):
        for file in names:
            with suppress(OSError):  # gone meanwhile, or in a closed folder
                size += os.lstat(os.path.join(name, file)).st_size
                files += 1
    return Amount(files, size)
