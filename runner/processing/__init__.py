"""Processing repositories: pinned to a commit, copied once, with an environment of their own."""

from runner.processing.pin import PinnedProcessing, pin

__all__ = ["PinnedProcessing", "pin"]
