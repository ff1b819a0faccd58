"""Jobs: the only module that writes their state.

The directory is the truth. Each change is an event in it first; `absorb` takes events over into
the rows, which are a fold of them.
"""

from webapp.jobs.aside import Amount, measure, told_size
from webapp.jobs.attempt import Claim, bounds, claim, fail, finished, interrupted, lost, take_over
from webapp.jobs.change import (
    append,
    cancel,
    change,
    delete,
    refuse_part,
    rerun,
    settle_notes,
)
from webapp.jobs.fold import Conflict, absorb, get
from webapp.jobs.recover import catch_up_parts
from webapp.jobs.remove import remove, settle_removals
from webapp.jobs.submit import (
    PRIORITIES,
    IdempotencyConflict,
    IdempotencyKey,
    Submission,
    Submitted,
    resubmit,
    submit,
)

__all__ = [
    "PRIORITIES",
    "Amount",
    "Claim",
    "Conflict",
    "IdempotencyConflict",
    "IdempotencyKey",
    "Submission",
    "Submitted",
    "absorb",
    "append",
    "bounds",
    "cancel",
    "catch_up_parts",
    "change",
    "claim",
    "delete",
    "fail",
    "finished",
    "get",
    "interrupted",
    "lost",
    "measure",
    "refuse_part",
    "remove",
    "rerun",
    "resubmit",
    "settle_notes",
    "settle_removals",
    "submit",
    "take_over",
    "told_size",
]
