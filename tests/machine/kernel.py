"""A kernel of Debian's, and the modules with which it sees this machine's files."""

from __future__ import annotations

import lzma
import shutil
import subprocess
from pathlib import Path

# In the order in which they are loaded; what a kernel has built in, or no longer has, is left out.
MODULES = (
    "drivers/virtio/virtio_ring", "drivers/virtio/virtio", "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci_modern_dev", "drivers/virtio/virtio_pci", "fs/netfs/netfs",
    "fs/fscache/fscache", "net/9p/9pnet", "net/9p/9pnet_virtio", "fs/9p/9p",
    "drivers/block/virtio_blk", "lib/crc16", "crypto/crc32c_generic", "fs/mbcache", "fs/jbd2/jbd2",
    "fs/ext4/ext4", "fs/overlayfs/overlay",
)  # fmt: skip
_META = "linux-image-amd64"


class NoKernel(Exception):
    """A kernel cannot be had here; in words."""


def fetch(folder: Path) -> Path:
    """Fetch Debian's kernel and its modules into a folder; nothing is installed.

    Returns
    -------
    Path
        The kernel; ``modules/NAME.ko`` are beside it.

    Raises
    ------
    NoKernel
        If Debian's packages cannot be had.
    """
    if (folder / "vmlinuz").exists():
        return folder / "vmlinuz"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "modules").mkdir(parents=True)
    words = _run("apt-cache", "depends", _META).split()
    package = next((word for word in words if word.startswith("linux-image-6")), None)
    if package is None:
        raise NoKernel(f"there is no package {_META}: apt-get update, on Debian, helps")
    _run("apt-get", "download", package, cwd=folder)
    (archive,) = folder.glob("*.deb")
    _run("dpkg-deb", "--extract", archive.name, "extracted", cwd=folder)
    for name in MODULES:
        for module in folder.glob(f"extracted/**/kernel/{name}.ko*"):
            _unpack(module, folder / "modules" / f"{Path(name).name}.ko")
    (kernel,) = folder.glob("extracted/boot/vmlinuz-*")
    archive.unlink()
    kernel.rename(folder / "vmlinuz")
    shutil.rmtree(folder / "extracted")
    return folder / "vmlinuz"


def _unpack(module: Path, target: Path) -> None:
    if module.suffix == ".xz":
        target.write_bytes(lzma.decompress(module.read_bytes()))
    else:
        shutil.copy(module, target)


def _run(*words: str, cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise NoKernel(f"there is no {words[0]}") from error
    except subprocess.CalledProcessError as error:
        raise NoKernel(f"{' '.join(words)}: {error.stderr.strip()}") from error
    return done.stdout
