"""A real SFTP server of the session's own: Debian's sshd, on a free port of this machine only."""

from __future__ import annotations

import getpass
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

SSHD = Path("/usr/sbin/sshd")
SFTP = Path("/usr/lib/openssh/sftp-server")


@dataclass(frozen=True)
class SftpServer:
    """A server that lets one key in.

    Attributes
    ----------
    folder : Path
        Its files: ``client`` (the key), ``known_hosts``, ``stranger`` (another key).
    port : int
        Where it listens.
    """

    folder: Path
    port: int

    def url(self, path: Path) -> str:
        """Give the address of a folder."""
        return f"sftp://{getpass.getuser()}@127.0.0.1:{self.port}{path}"

    def options(self, **more: object) -> dict[str, object]:
        """Give the options with which it can be reached."""
        key, known = self.folder / "client", self.folder / "known_hosts"
        own = {"key_filename": str(key), "known_hosts": str(known), "allow_agent": False}
        return {**own, "look_for_keys": False, **more}


@contextmanager
def serving() -> Iterator[SftpServer]:
    """Run a server meanwhile; it ends by its process id."""
    if not (SSHD.exists() and SFTP.exists()):
        pytest.skip("sshd is not installed (Debian package openssh-server)")
    with tempfile.TemporaryDirectory(prefix="jobrunner-sftp-") as name:
        folder = Path(name)
        for key in ("host", "client", "stranger"):
            make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key]
            subprocess.run(make, check=True)
        (folder / "authorized").write_text((folder / "client.pub").read_text())
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (folder / "known_hosts").write_text(
            f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}"
        )
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd of Debian wants it when it runs as root
        settings = {
            "ListenAddress": f"127.0.0.1:{port}", "HostKey": folder / "host",
            "AuthorizedKeysFile": folder / "authorized", "PidFile": "none", "UsePAM": "no",
            "StrictModes": "no", "PasswordAuthentication": "no", "PermitRootLogin": "yes",
            "Subsystem": f"sftp {SFTP}",
        }  # fmt: skip
        config = folder / "config"
        config.write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([SSHD, "-D", "-e", "-f", config], stdout=log, stderr=log)
        try:
            while not _listens(port):
                assert process.poll() is None, (folder / "log").read_text()
            yield SftpServer(folder, port)
        finally:
            process.terminate()
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as attempt:
        attempt.settimeout(5)
        return attempt.connect_ex(("127.0.0.1", port)) == 0
