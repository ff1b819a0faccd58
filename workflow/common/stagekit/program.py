"""The frame around every stage script: one error document, one way to end, no secret in a log."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from urllib.parse import unquote, urlsplit

from stagekit.files import write_json
from stagekit.problems import StageError, at_most

DSN_VARIABLE = "JOBRUNNER_PLATFORM_DSN"
PUBLISH_VARIABLE = "JOBRUNNER_PUBLISH_OPTIONS"
_SECRET = re.compile(r"(?i)pass|secret|token|sas|connection_string|(^|_)key$")  # names of options
LISTED = 10  # problems of each kind in the error document; problems.csv has all


def secrets() -> list[str]:
    """Give what must appear in no log: passwords, and the address of a platform with one."""
    dsn = os.environ.get(DSN_VARIABLE, "")
    password = urlsplit(dsn).password if "@" in dsn else None
    found = {dsn, password or "", unquote(password or "")} if password else set()
    with suppress(ValueError):  # the stage that uses them says that they are wrong
        found.update(_secret_words(json.loads(os.environ.get(PUBLISH_VARIABLE) or "{}")))
    return sorted((s for s in found if s), key=len, reverse=True)


def _secret_words(options: object, name: str = "") -> Iterator[str]:
    if isinstance(options, dict):
        for key, value in options.items():
            yield from _secret_words(value, key)
    elif isinstance(options, str) and len(options) > 3 and _SECRET.search(name):
        yield options


def redact(text: str) -> str:
    """Replace every secret in `text` by asterisks."""
    for secret in secrets():
        text = text.replace(secret, "***")
    return text


def run(stage: str, error_file: Path | None, work: Callable[[], None]) -> int:
    """Run `work`; on failure write the error document and say what went wrong.

    Parameters
    ----------
    stage : str
        Name of the stage, as in ``jobtype.yaml``.
    error_file : Path or None
        Where the document ``{"code", "message", "stage", "problems", "problem_count"}`` goes.
    work : callable
        The stage itself. A `StageError` is the data's fault; anything else is ours, and its
        traceback goes to standard error (which is the stage's log).

    Returns
    -------
    int
        The exit code: 0 if all went well, else 1.
    """
    if error_file is not None:
        error_file.unlink(missing_ok=True)
    try:
        work()
    except StageError as error:
        failure = error
    except OSError as error:
        sys.stderr.write(redact(traceback.format_exc()))
        failure = _from_os_error(error)
    except Exception as error:
        sys.stderr.write(redact(traceback.format_exc()))
        message = f"{type(error).__name__}: {error} (the traceback is in the log of this stage)"
        failure = StageError("stage_failed", redact(message))
    else:
        return 0
    print(redact(f"ERROR {failure.code}: {failure.message}"), file=sys.stderr)
    if error_file is not None:
        try:
            write_json(error_file, error_document(stage, failure))
        except OSError as error:  # a full disk; the line above is in the log all the same
            print(f"ERROR: cannot write {error_file}: {error}", file=sys.stderr)
    return 1


def error_document(stage: str, error: StageError) -> dict[str, object]:
    """Give the one shape in which a stage reports failure."""
    return {
        "code": error.code,
        "message": redact(error.message),
        "stage": stage,
        "problems": [asdict(problem) for problem in at_most(error.problems, LISTED)],
        "problem_count": len(error.problems),
    }


def _from_os_error(error: OSError) -> StageError:
    where = f" while writing {error.filename}" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StageError(
            "disk_full", f"The disk is full{where}. Free some space, then continue the job."
        )
    return StageError("io_error", f"{error.strerror or error}{where}.")
