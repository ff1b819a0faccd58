"""A worker that becomes its newer version: nothing that it was told on the way is lost."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys

import pytest

from tests.webapp.running import ROOT, Running, until
from webapp.children import Errand, Family
from webapp.models import Worker
from webapp.worker.renewal import Renewal

PROGRAM = """
import os, signal, sys
from webapp.children import Errand, Family, Signals, Terminal
from webapp.worker.renewal import Renewal

terminal = Terminal()
print("terminal", terminal._had)
signals = Signals(signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD)
if "SECOND" in os.environ:
    signals.wait(5)
    print(sorted(signals.take()))
    sys.exit()
os.environ["SECOND"] = "1"

def before():
    os.kill(os.getpid(), signal.SIGTERM)  # not heard yet
    signals.keep()
    terminal.hand_on()
    os.kill(os.getpid(), signal.SIGUSR1)

renewal = Renewal(Family())
renewal._check = Errand("the new version", lambda: 0, wanted=False, code=0)
renewal.go_on(before)
"""


def test_what_ends_it_is_heard_by_the_new_program() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    heard = sorted([signal.SIGTERM, signal.SIGUSR1])
    assert answer.stdout.splitlines()[-1] == str([int(number) for number in heard]), answer.stderr


@pytest.mark.parametrize("ignored", [False, True])
def test_the_new_program_knows_whether_there_is_a_terminal_to_lose(ignored: bool) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        # as nohup does, or not; the tests themselves may have been started by it
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
        os.execv(sys.executable, [sys.executable, "-c", PROGRAM])
    said = b""
    try:
        while said.count(b"\n") < 3:
            said += os.read(terminal, 4096)
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)
    assert said.count(f"terminal {not ignored}".encode()) == 2, said


def test_a_worker_that_is_stopped_while_it_is_renewed_stops(idle_service: Running) -> None:
    worker = idle_service.start("worker", "--slots", "1")

    def alive() -> set[str]:
        with idle_service.service.db.read() as session:
            return {row.id for row in session.query(Worker)}

    (old,) = until(alive, "a worker")
    worker.send_signal(signal.SIGHUP)
    until(lambda: old not in alive(), "it makes room")  # and has yet to become the new one
    worker.terminate()
    assert worker.wait(30) == 0


def test_asked_twice_it_looks_at_what_is_installed_last(monkeypatch: pytest.MonkeyPatch) -> None:
    def execv(*_: object) -> None:
        raise AssertionError("it became a version that was not looked at")

    monkeypatch.setattr(os, "execv", execv)
    for code in (0, 1):
        family = Family()
        asked = Renewal(family)
        asked.begin()
        asked.begin()
        (first,) = family.members
        assert isinstance(first, Errand)
        first.code = code
        asked.go_on(lambda: None)
        assert len(family.members) == 2, "it looks once more"
