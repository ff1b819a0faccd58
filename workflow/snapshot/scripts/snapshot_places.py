"""Other places for files: folders and whatever fsspec reaches, with errors a person understands."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from stagekit.problems import StageError
from stagekit.program import PUBLISH_VARIABLE, redact

RENAMING = ("file", "local", "sftp", "ssh")  # where a whole folder gets its name at once
CONNECT_SECONDS = 30


def options() -> dict[str, Any]:
    """Give the options of the place, with its credentials, from the environment.

    Raises
    ------
    StageError
        ``bad_setting`` if they are no JSON object.
    """
    text = os.environ.get(PUBLISH_VARIABLE) or "{}"
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise StageError("bad_setting", f"{PUBLISH_VARIABLE} is no JSON object of options.")
    return found


@contextlib.contextmanager
def place(to: str) -> Iterator[tuple[Any, str, bool]]:
    """Open a place; what goes wrong inside the block becomes an error about it.

    Parameters
    ----------
    to : str
        A path, or a URL without a password.

    Yields
    ------
    tuple
        The file system, the folder in it, and whether folders can be renamed there.

    Raises
    ------
    StageError
        ``publish_…`` with what is wrong and what to do.
    """
    scheme = to.partition("://")[0] if "://" in to else "file"
    with explained(to):
        import fsspec

        if scheme in ("sftp", "ssh"):
            system, folder = _sftp(to, options())
        else:
            system, folder = fsspec.core.url_to_fs(to, **options())
        yield system, folder.rstrip("/"), scheme in RENAMING


@contextlib.contextmanager
def explained(to: str) -> Iterator[None]:
    """Turn what file systems raise into errors for a person."""
    try:
        yield
    except StageError:
        raise
    except (ImportError, ValueError) as error:
        raise StageError(
            "publish_unsupported", f"There is no way to write to {to}: {redact(str(error))}"
        ) from error
    except Exception as error:
        raise _explain(to, error) from error


def _sftp(to: str, given: dict[str, Any]) -> tuple[Any, str]:
    """Connect to an SFTP server whose key is known; fsspec itself would trust any."""
    import paramiko
    from fsspec.implementations.sftp import SFTPFileSystem

    known = given.pop("known_hosts", None)

    class Known(SFTPFileSystem):  # type: ignore[misc]
        cachable = False

        def _connect(self) -> None:
            self.client = paramiko.SSHClient()
            self.client.load_system_host_keys(known)
            self.client.set_missing_host_key_policy(paramiko.RejectPolicy())
            self.client.connect(self.host, **self.ssh_kwargs)
            self.ftp = self.client.open_sftp()

    url = urlsplit(to)
    login: dict[str, Any] = {"port": url.port or 22, "timeout": CONNECT_SECONDS}
    if url.username:
        login["username"] = url.username
    return Known(url.hostname or "", **{**login, **given}), url.path


def _explain(to: str, error: Exception) -> StageError:
    name, kinds = type(error).__name__, {kind.__name__ for kind in type(error).__mro__}
    text = redact(str(error)).strip() or name
    if "BadHostKeyException" in kinds or "not found in known_hosts" in text:
        return StageError(
            "publish_unknown_host",
            f"The key of the server of {to} is not the one that is known, or none is: {text}."
            " Put its key into ~/.ssh/known_hosts, or into the file that the option known_hosts of"
            " the profile's publish options names.",
        )
    if kinds & {"AuthenticationException", "NoCredentialsError"}:
        return StageError(
            "publish_login",
            f"{to} refuses the login: check the profile's publish options ({text}).",
        )
    if isinstance(error, FileNotFoundError):
        return StageError("publish_missing", f"{to} is not there: {text}. Make that folder first.")
    if isinstance(error, PermissionError):
        return StageError("publish_rights", f"Writing to {to} is not allowed: {text}.")
    if isinstance(error, OSError) and error.errno in (28, 122):
        return StageError("publish_full", f"There is no room left at {to}.")
    return StageError(
        "publish_failed", f"{to} cannot be written to: {name}: {text}. Continue the job later."
    )
