"""Running the entry point of a processing repository's ``workflow.py``, unchanged.

Runs in the processing repository's environment: Python 3.9.
"""

from __future__ import annotations

import gc
import importlib.util
import inspect
import logging
import sys
import traceback
from pathlib import Path
from typing import Any

import pyam
from stagekit.problems import StageError
from stagekit.program import redact


class ErrorLog(logging.Handler):
    """Keeps what nomenclature logs as errors: older versions say only there what is wrong."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message."""
        self.messages.append(record.getMessage())


class EntryFailed(Exception):
    """The entry point raised; the error is the cause.

    Parameters
    ----------
    error : BaseException
        What it raised.
    logged : list of str
        What nomenclature logged as errors.
    """

    def __init__(self, error: BaseException, logged: list[str]) -> None:
        super().__init__(str(error))
        self.error = error
        self.logged = logged


def run(repository: Path, entry: str, df: Any) -> Any:
    """Call the entry point as ``nomenclature run-workflow`` would.

    Parameters
    ----------
    repository : Path
        The copy of the processing repository.
    entry : str
        Name of the function in ``workflow.py``.
    df : pyam.IamDataFrame
        The submitted data.

    Returns
    -------
    pyam.IamDataFrame
        The processed data.

    Raises
    ------
    StageError
        If there is no such function, a module is missing, or it returned something else.
    EntryFailed
        If it raised.
    """
    log = ErrorLog()
    logger = logging.getLogger("nomenclature")
    logger.addHandler(log)
    try:
        function = _load(repository / "workflow.py", entry)
        gc.freeze()  # what was imported stays: the collector need not look at it again
        gc.enable()
        result = function(df)
    except StageError:
        raise
    except ImportError as error:
        _log_traceback()
        raise _missing_module(error, repository) from error
    except (Exception, SystemExit) as error:
        _log_traceback()
        raise EntryFailed(error, log.messages) from error
    finally:
        logger.removeHandler(log)
    if not isinstance(result, pyam.IamDataFrame):
        raise StageError(
            "wrong_result",
            f"{entry}() in workflow.py returned {_kind(result)} and not a pyam.IamDataFrame.",
        )
    return result


def failure(failed: EntryFailed, repository: Path, entry: str) -> StageError:
    """Say in one sentence how workflow.py failed and where."""
    error, where = failed.error, place(failed.error, repository)
    if isinstance(error, SystemExit):
        return StageError(
            "repository_exit",
            f"{entry}() in workflow.py ended the program ({where}) with exit code {error.code}"
            " instead of returning the processed data.",
        )
    message = "\n".join(said(failed))
    return StageError(
        "repository_failed",
        f"{entry}() in workflow.py failed ({where}): {type(error).__name__}: {message}"
        " (the traceback is in the log of this stage)",
    )


def said(failed: EntryFailed) -> list[str]:
    """Give the error's own words, or what older nomenclature versions only log."""
    messages = leaf_messages(failed.error)
    if failed.logged and any("check the log" in message for message in messages):
        messages = failed.logged
    return [redact(message) for message in messages]


def leaf_messages(error: BaseException) -> list[str]:
    """Give the messages of an error, of a group those of its members."""
    members = getattr(error, "exceptions", None)
    if isinstance(members, (list, tuple)) and members:
        return [message for member in members for message in leaf_messages(member)]
    return [str(error) or type(error).__name__]


def place(error: BaseException, repository: Path) -> str:
    """Give file and line of the last frame of `error` that is the repository's own code."""
    found = "workflow.py"
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if repository in path.parents:
            found = f"{path.relative_to(repository)}:{frame.lineno}"
    return found


def _load(file: Path, entry: str) -> Any:
    if not file.is_file():
        raise StageError("workflow_missing", "The processing repository has no file workflow.py.")
    spec = importlib.util.spec_from_file_location("workflow", file)
    if spec is None or spec.loader is None:
        raise StageError("workflow_missing", "workflow.py cannot be loaded as a Python module.")
    module = importlib.util.module_from_spec(spec)
    sys.modules["workflow"] = module
    spec.loader.exec_module(module)
    function = getattr(module, entry, None)
    if not callable(function):
        own = [
            name
            for name, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == "workflow" and name[0] != "_"
        ]
        there = f"It has: {', '.join(sorted(own))}." if own else "It has no functions."
        raise StageError("entry_missing", f"workflow.py has no function {entry}. {there}")
    return function


def _missing_module(error: ImportError, repository: Path) -> StageError:
    where = place(error, repository)
    if isinstance(error, ModuleNotFoundError) and error.name:
        module = error.name.partition(".")[0]
        return StageError(
            "module_missing",
            f"workflow.py needs the module {module} ({where}), which is not installed."
            " Add its package to requirements.txt of the processing repository.",
        )
    return StageError(
        "module_missing",
        f"workflow.py cannot import what it needs ({where}): {error}."
        " Check the versions in requirements.txt of the processing repository.",
    )


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__module__}.{type(value).__name__}"


def _log_traceback() -> None:
    sys.stderr.write(redact(traceback.format_exc()))
    sys.stderr.flush()
