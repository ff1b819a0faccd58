"""What a rule may take on this machine, and what it took.

The stage shell (`shell.py`) stands between Snakemake and each rule's command. `prepare` sets it up
for an attempt; the others read what it noted down.
"""

from runner.limits.methods import advice, method, settle
from runner.limits.prepare import OTHERS, prepare
from runner.limits.records import of_stages, used
from runner.limits.sweep import sweep
from runner.limits.verdict import exceeded

__all__ = [
    "OTHERS",
    "advice",
    "exceeded",
    "method",
    "of_stages",
    "prepare",
    "settle",
    "sweep",
    "used",
]
