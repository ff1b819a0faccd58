"""A process that imports Snakemake while this one prepares the job, and then is its leader."""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from runner import leader

_PIECE = 1 << 16


class Standby:
    """Forked at once; on a second core its imports cost no waiting.

    For a process that starts one attempt and ends. It ends with this process if it is not needed.
    """

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair()
        self.pid = leader.fork_detached()
        if self.pid == 0:
            self._ours.close()
            _stand_by(theirs)
        theirs.close()

    def lead(
        self,
        lock: int,
        attempt: int,
        run: Callable[[], int],
        *,
        log: Path,
        environment: Mapping[str, str],
    ) -> int:
        """Make it the leader; parameters and result as for `leader.fork`, `run` is pickled."""
        message = pickle.dumps((attempt, run, log, dict(environment)))
        try:
            socket.send_fds(self._ours, [b"lock"], [lock])
            self._ours.sendall(message)
        except OSError:  # it is dead: do without
            return leader.fork(lock, attempt, run, log=log, environment=environment)
        self._ours.close()
        os.close(lock)
        return self.pid


def _stand_by(theirs: socket.socket) -> NoReturn:
    from runner import command

    try:
        command.warm()
        word, descriptors, _, _ = socket.recv_fds(theirs, len(b"lock"), 1)
        if not word:
            os._exit(0)  # it was not needed
        message = b"".join(iter(lambda: theirs.recv(_PIECE), b""))
        theirs.close()
        attempt, run, log, environment = pickle.loads(message)  # noqa: S301 - from our parent
    except BaseException:
        os._exit(70)
    os.set_inheritable(descriptors[0], False)
    leader.lead(descriptors[0], attempt, run, log=log, environment=environment)
