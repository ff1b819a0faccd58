"""``python -m runner`` is ``jobrunner``."""

from runner.cli import main

main()
