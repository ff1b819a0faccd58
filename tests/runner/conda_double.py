"""A TEST DOUBLE of conda, over py-rattler: real solving and linking, a channel of toy packages.

Run as the program ``conda`` it answers the calls that Snakemake makes. It is no part of the runner:
it stands in for a conda that tests cannot install, so that the path on which the runner leaves
environments to a real conda is walked by a real Snakemake.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import itertools
import json
import os
import sys
import tarfile
from pathlib import Path

PLATFORM = "linux-64"
ACTIVATE = 'export CONDA_PREFIX="$1"\nexport PATH="$1/bin:$PATH"\n'


def write_channel(folder: Path, packages: dict[str, list[str]]) -> None:
    """Write a channel of packages, each a program that prints its name and version."""
    index = {}
    (folder / "noarch").mkdir(parents=True)
    for name, versions in packages.items():
        for version in versions:
            file = folder / "noarch" / f"{name}-{version}-0.tar.bz2"
            record = _write_package(file, name, version)
            content = file.read_bytes()
            record |= {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
            index[file.name] = record
    for platform in ("noarch", PLATFORM):
        (folder / platform).mkdir(exist_ok=True)
        found = index if platform == "noarch" else {}
        document = {"info": {"subdir": platform}, "packages": found, "packages.conda": {}}
        (folder / platform / "repodata.json").write_text(json.dumps(document))


def _write_package(file: Path, name: str, version: str) -> dict[str, object]:
    program = f"#!/bin/sh\necho {name} {version}\n".encode()
    record: dict[str, object] = {
        **{"name": name, "version": version, "build": "0", "build_number": 0, "depends": []},
        **{"noarch": "generic", "subdir": "noarch"},
    }
    path = {
        **{"_path": f"bin/{name}", "path_type": "hardlink", "size_in_bytes": len(program)},
        "sha256": hashlib.sha256(program).hexdigest(),
    }
    contents = {
        "info/index.json": json.dumps(record).encode(),
        "info/paths.json": json.dumps({"paths": [path], "paths_version": 1}).encode(),
        "info/files": f"bin/{name}\n".encode(),
        f"bin/{name}": program,
    }
    with tarfile.open(file, "w:bz2") as archive:
        for member, content in contents.items():
            entry = tarfile.TarInfo(member)
            entry.size, entry.mode = len(content), 0o755 if member.startswith("bin/") else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return record


def install_double(folder: Path, python: Path, log: Path) -> Path:
    """Write ``conda`` and ``activate``; give their folder. What is made goes to `log`."""
    (folder / "bin").mkdir(parents=True)
    conda = folder / "bin" / "conda"
    conda.write_text(f'#!/bin/sh\nexec "{python}" "{__file__}" "{folder}" "{log}" "$@"\n')
    conda.chmod(0o755)
    (folder / "bin" / "activate").write_text(ACTIVATE)
    return conda.parent


async def _create(file: Path, prefix: Path, cache: Path) -> None:
    import rattler
    import yaml

    document = yaml.safe_load(file.read_text())
    records = await rattler.solve(
        sources=document["channels"],
        specs=document["dependencies"],
        platforms=[PLATFORM, "noarch"],
        gateway=rattler.Gateway(cache_dir=cache / "repodata"),
    )
    await rattler.install(
        records=records,
        target_prefix=prefix,
        cache_dir=cache / "packages",
        show_progress=False,
    )


def main() -> None:
    """Answer one call."""
    folder, log, call = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    if call == ["info", "--json"]:
        print(json.dumps({"conda_prefix": str(folder), "platform": PLATFORM}))
    elif call == ["--version"]:
        print("conda 25.1.0")
    elif call[:2] == ["config", "--get"]:
        print(json.dumps({"get": {"channel_priority": "strict"}}))
    elif call[:2] == ["env", "create"]:
        named = dict(itertools.pairwise(call))
        asyncio.run(_create(Path(named["--file"]), Path(named["--prefix"]), folder / "cache"))
        with log.open("a") as stream:
            stream.write(named["--prefix"] + "\n")
    elif call[:1] != ["clean"]:
        sys.exit(f"the test double does not know: conda {' '.join(call)}")
    sys.stdout.flush()
    os._exit(0)  # py-rattler may crash when the interpreter ends


if __name__ == "__main__":
    main()
