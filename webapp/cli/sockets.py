"""The socket on which the service answers: listened on here, or handed over by systemd."""

from __future__ import annotations

import os
import socket
from http.client import HTTPConnection, HTTPException

from runner.errors import JobRunnerError

_BACKLOG = 2048
_FIRST_HANDED_OVER = 3  # file descriptor; sd_listen_fds(3)


class CannotStart(JobRunnerError):
    """The service cannot start as it was asked to."""

    code = "cannot_start"


def listen(host: str, port: int) -> socket.socket:
    """Listen at an address.

    Raises
    ------
    CannotStart
        If it is taken, or not one of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        system = error.errno is not None and error.errno > 0  # else the name cannot be resolved
        reason = os.strerror(error.errno or 0) if system else error.strerror
        raise CannotStart(
            f"Cannot listen on {host} port {port}: {reason}. Choose another port: --port N, or 0 "
            "for any free one."
        ) from error


def handed_over() -> socket.socket | None:
    """Take the socket that systemd listens on for us; None if there is none.

    Raises
    ------
    CannotStart
        If there are several.
    """
    pid, number = (os.environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS"))
    if pid != str(os.getpid()) or not number.isdecimal() or number == "0":
        return None
    if number != "1":
        raise CannotStart(f"systemd hands over {number} sockets; the web server takes one.")
    os.set_inheritable(_FIRST_HANDED_OVER, False)  # or all that we start would have it
    return socket.socket(fileno=_FIRST_HANDED_OVER)


def url_of(listener: socket.socket) -> str:
    """Give the address at which this machine reaches it."""
    if listener.family == socket.AF_UNIX:
        return f"unix:{listener.getsockname()}"
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - it is compared
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def answers(host: str, port: int) -> bool:
    """Tell whether a web server answers there that it is well."""
    connection = HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
