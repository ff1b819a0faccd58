"""A machine that is emulated: Debian's kernel and systemd over the files of this one.

It reads all files that its caller can read, and writes to its own memory only: nothing is installed
or copied, and nothing stays. Its processors are emulated, too (some ten times slower than real
ones): tests run where nobody may do otherwise.
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.command import die_with_parent
from tests.machine import kernel

_INIT = Path(__file__).with_name("init.sh")
_BUSYBOX = Path("/bin/busybox")
_QEMU = "qemu-system-x86_64"
_SYSTEMD = Path("/lib/systemd/systemd")
_TARGET = "[Unit]\nDefaultDependencies=no\nWants=end.service\n"
_UNIT = """
[Unit]
DefaultDependencies=no
Before=end.service
After={after}
[Service]
Type=oneshot
Environment="PATH={path}" HOME=/var/tmp TMPDIR=/var/tmp
StandardOutput=append:/run/out/{name}.log
StandardError=inherit
ExecStopPost=+/bin/sh -c 'echo $EXIT_STATUS > /run/out/{name}.code'
{service}
"""
_END = """
[Unit]
DefaultDependencies=no
Wants={units}
[Service]
ExecStart=/bin/sh -c 'echo o > /proc/sysrq-trigger; sleep 60'
"""


def lacking() -> str | None:
    """Say what this machine lacks to emulate another; None if nothing."""
    if platform.machine() != "x86_64":
        return f"its processor is {platform.machine()}, and what is emulated is x86_64"
    for package, there in {
        "qemu-system-x86": shutil.which(_QEMU),
        "busybox-static": _BUSYBOX.exists(),
        "e2fsprogs": shutil.which("mkfs.ext4"),
        "systemd": _SYSTEMD.exists(),
    }.items():
        if not there:
            return f"Debian package {package} is not installed"
    return None


@dataclass(frozen=True)
class Done:
    """How a service ended."""

    code: int | None
    log: str


def run(
    services: Mapping[str, str], kernels: Path, folder: Path, timeout: float
) -> dict[str, Done]:
    """Start the machine, run services one after another, and let it end.

    Parameters
    ----------
    services : mapping
        Lines of the section ``[Service]`` by the name of the unit.
    kernels : Path
        Where a kernel is kept, see `kernel.fetch`.
    folder : Path
        An empty one: what comes out of the machine.
    timeout : float
        Seconds.

    Raises
    ------
    kernel.NoKernel
        If there is none.
    AssertionError
        If it does not end in time; with what it printed.
    """
    image = kernel.fetch(kernels)
    _write_units(services, folder)
    console = folder / "console"
    words = [
        _QEMU, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048",
        "-nographic", "-no-reboot", "-net", "none", "-kernel", str(image),
        "-initrd", str(_initrd(image.parent, folder)),
        "-append", "console=ttyS0 panic=-1 quiet systemd.unit=tests.target"
        " systemd.unified_cgroup_hierarchy=1 systemd.show_status=no",
        "-drive", f"file={_disk(folder)},if=virtio,format=raw,cache=unsafe",
        *_shared("/", "host", ",readonly=on,multidevs=remap"),
        *_shared(str(folder), "out", ""),
    ]  # fmt: skip
    with console.open("wb") as stream, subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
        preexec_fn=lambda: die_with_parent(signal.SIGKILL),
    ) as process:  # fmt: skip
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            process.kill()
            raise AssertionError(f"{_tails(folder)}\nNot done after {timeout} s.") from error
    return {name: _done(folder, name) for name in services}


def _write_units(services: Mapping[str, str], folder: Path) -> None:
    after = ""
    for name, service in services.items():
        text = _UNIT.format(name=name, after=after, path=os.environ["PATH"], service=service)
        (folder / f"{name}.service").write_text(text)
        after = f"{name}.service"
    units = " ".join(f"{name}.service" for name in services)
    (folder / "end.service").write_text(_END.format(units=units))
    (folder / "tests.target").write_text(_TARGET)


def _initrd(kernels: Path, folder: Path) -> Path:
    """Pack what comes before the file system of the machine: its first program, and modules."""
    root = folder / "initrd"
    for name in ("bin", "proc", "dev"):
        (root / name).mkdir(parents=True)
    shutil.copy(_BUSYBOX, root / "bin")
    shutil.copytree(kernels / "modules", root / "modules")
    names = " ".join(Path(name).name for name in kernel.MODULES)
    (root / "init").write_text(_INIT.read_text().replace("MODULES", names))
    (root / "init").chmod(0o755)
    files = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    packed = subprocess.run(
        [_BUSYBOX, "cpio", "-o", "-H", "newc"], cwd=root, input=f"{files}\n".encode(),
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    target = folder / "initrd.cpio"
    target.write_bytes(packed)
    return target


def _disk(folder: Path) -> Path:
    """Make the disk that takes what is written; it takes little of this machine's."""
    disk = folder / "disk"
    with disk.open("wb") as stream:
        stream.truncate(2 << 30)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(disk)], check=True, capture_output=True)
    return disk


def _shared(path: str, tag: str, more: str) -> list[str]:
    return ["-virtfs", f"local,path={path},mount_tag={tag},security_model=none{more}"]


def _done(folder: Path, name: str) -> Done:
    code, log = folder / f"{name}.code", folder / f"{name}.log"
    if not log.exists():
        return Done(None, _tails(folder))
    return Done(int(code.read_text()) if code.exists() else None, log.read_text())


def _tails(folder: Path) -> str:
    logs = [folder / "console", *sorted(folder.glob("*.log"))]
    return "\n".join(f"{log.name}: …{log.read_text(errors='replace')[-3000:]}" for log in logs)
