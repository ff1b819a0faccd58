"""Folders of configuration in which each file has a name of its own: ``NAME.yaml``.

Instances and issuers are such files. They are read again when they change; a wrong one changes
nothing, and is told about.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import jsonschema
import yaml

from runner.errors import InvalidConfiguration, JobRunnerError

_log = logging.getLogger(__name__)
_Signature = tuple[int, ...]
_Content = TypeVar("_Content")


class ConfigFiles(Generic[_Content]):
    """The files of some folders by name, read again whenever one has changed.

    Parameters
    ----------
    folders : sequence of Path
        A file of a later folder goes before one of the same name in an earlier folder.
    read : callable
        Reads one file; raises `JobRunnerError` if it is wrong. It then stays as it last was right.
    """

    def __init__(self, folders: Sequence[Path], read: Callable[[Path], _Content]) -> None:
        self._folders = folders
        self._read = read
        self._signatures: dict[Path, _Signature] = {}
        self._good: dict[str, _Content] = {}
        self._wrong: dict[str, str] = {}
        self._lock = threading.Lock()

    @property
    def wrong(self) -> dict[str, str]:
        """What is wrong with which file, by name."""
        self.all()
        return dict(self._wrong)

    def all(self) -> dict[str, _Content]:
        """Give what the files say, by name."""
        with self._lock:
            signatures = dict(self._look())
            if signatures != self._signatures:
                self._load(signatures)
                self._signatures = signatures
            return dict(self._good)

    def _look(self) -> Iterator[tuple[Path, _Signature]]:
        """Give each file with what changes when it is edited."""
        files = {path.stem: path for folder in self._folders for path in folder.glob("*.yaml")}
        for path in files.values():
            try:
                stat = path.stat()
            except OSError:  # removed meanwhile, or a link that leads nowhere
                continue
            yield path, (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)

    def _load(self, signatures: Mapping[Path, _Signature]) -> None:
        good: dict[str, _Content] = {}
        wrong: dict[str, str] = {}
        for path, signature in sorted(signatures.items()):
            name = path.stem
            if self._signatures.get(path) == signature:
                good |= {name: self._good[name]} if name in self._good else {}
                wrong |= {name: self._wrong[name]} if name in self._wrong else {}
                continue
            try:
                good[name] = self._read(path)
            except JobRunnerError as error:
                wrong[name] = error.message
                good |= {name: self._good[name]} if name in self._good else {}
                _log.error("%s", error.message)
        self._good, self._wrong = good, wrong


def read_checked(path: Path, schema: str) -> Any:
    """Read a YAML file that a schema describes; an empty one is an empty mapping.

    Parameters
    ----------
    path : Path
        The file.
    schema : str
        Name of a file beside this one with a JSON Schema. Values that may be secrets have
        ``writeOnly: true`` in it, and a ``description`` that is said instead of the value.

    Raises
    ------
    InvalidConfiguration
        Naming the file and the places in it.
    """
    try:
        text = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:  # its own text quotes the line, which may have a secret
        mark = error.problem_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise InvalidConfiguration(f"{path} cannot be read: {error.problem}{where}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidConfiguration(f"{path} cannot be read: {error}") from error
    text = {} if text is None else text
    found = _validator(schema).iter_errors(text)
    errors = sorted(found, key=lambda error: list(map(str, error.absolute_path)))
    if errors:
        lines = [f"  {_pointer(error) or '/'}: {_said(error)}" for error in errors]
        raise InvalidConfiguration("\n".join([f"{path} is wrong:", *lines]))
    return text


@cache
def _validator(schema: str) -> jsonschema.Draft202012Validator:
    content = yaml.safe_load(Path(__file__).with_name(schema).read_text("utf-8"))
    return jsonschema.Draft202012Validator(content)


def _said(error: jsonschema.ValidationError) -> str:
    """Give the message; where the value may be a secret, it is not quoted."""
    schema = error.schema if isinstance(error.schema, dict) else {}
    return str(schema["description"]) if schema.get("writeOnly") else error.message


def _pointer(error: jsonschema.ValidationError) -> str:
    return "".join(f"/{part}" for part in error.absolute_path)
