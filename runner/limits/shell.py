"""The stage shell: Snakemake's ``bash`` for the stages of an attempt.

It runs a command with the real bash, holds it to what its rule may take, notes down what it used,
and ends as the command ended. It is started for each rule run, on each node of a cluster, as
``python -I -S``: of Python it has the standard library only, and of that little, and of the runner
the modules beside it, without what ``import runner`` brings.
"""

from __future__ import annotations

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


def main(arguments: list[str]) -> None:
    """Run ``bash ARGUMENTS`` in the folder of a rule, which ``TMPDIR`` names."""
    from runner.limits.settings import Settings

    bash = _bash()
    try:
        settings = Settings(os.environ["TMPDIR"])
    except (OSError, ValueError) as error:
        sys.exit(f"jobrunner: what the rule may take cannot be read: {error}")
    from runner.limits.stage import Run, leave

    leave(Run(settings).run(bash, [bash, *arguments]))


def _bash() -> str:
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder or ".", "bash")
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    sys.exit("jobrunner: there is no bash on PATH; install it.")


def _know_the_modules_beside() -> None:
    """Let modules of `runner.limits` be imported without running what is around them."""
    for name, folder in ("runner", os.path.dirname(_HERE)), ("runner.limits", _HERE):
        package = type(sys)(name)
        package.__path__ = [folder]
        sys.modules[name] = package


if __name__ == "__main__":
    _know_the_modules_beside()
    main(sys.argv[1:])
