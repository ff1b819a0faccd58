"""What becomes of a rule run, from what SLURM and its guard say."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from runner.files import now
from runner.slurm import commands, failure, states
from runner.slurm.commands import Account, Row
from runner.slurm.rule_run import RuleRun

NOT_OVER = states.WAITING | states.ALIVE
_GRACE = 10.0  # seconds for which the files of a guard may arrive later than SLURM's word
_LATE = 30.0  # seconds for which SLURM may hold running what has ended

_has_accounting = True


def goes_on(rule_run: RuleRun, row: Row | None, hopeless: float) -> bool:
    """Take in how SLURM shows a rule run; tell whether it goes on.

    Parameters
    ----------
    rule_run : RuleRun
        One that has been submitted.
    row : Row or None
        Its row in the list of SLURM; None if it is not there.
    hopeless : float
        Seconds after which a reason to wait that never goes away ends it.
    """
    if row is None or row.state not in NOT_OVER:
        return False
    state = row.state
    if rule_run.ended:  # it has failed, and SLURM is about to say how; else nobody knows better
        if state in states.WAITING or time.time() - rule_run.ended["time"] > _LATE:
            by_its_log(rule_run)
        return True
    if state not in states.WAITING:
        rule_run.waits_because(_pause(row))
        rule_run.hopeless_since = None
        return True
    rule_run.waits_because(_waiting(row, rule_run))
    return _may_start(rule_run, row, hopeless)


def _may_start(rule_run: RuleRun, row: Row, hopeless: float) -> bool:
    """Tell whether it is left waiting; it fails where its reason to wait never goes away."""
    advice = states.advice(row.reason)
    if advice is None and not (rule_run.avoid and states.wants_nodes(row.reason)):
        rule_run.hopeless_since = None
        return True
    moment = time.monotonic()
    rule_run.hopeless_since = rule_run.hopeless_since or moment
    if moment - rule_run.hopeless_since < hopeless:
        return True
    if rule_run.avoid:  # perhaps no other node has what it needs: see `conclude`
        return False
    rule_run.fail(failure.never_starts(rule_run.request, row.reason, advice or "", row.id))
    return True


def conclude(
    rule_run: RuleRun, row: Row | None, account: Account | None, resubmissions: int
) -> str | None:
    """Find out how a rule run ended that does not go on (`goes_on`).

    Parameters
    ----------
    rule_run : RuleRun
        Neither waiting nor running to SLURM, or waiting for nodes that it avoids.
    row : Row or None
        Its row in the list of SLURM.
    account : Account or None
        What the accounting says.
    resubmissions : int
        How often it may be submitted again.

    Returns
    -------
    str or None
        Why it is to be submitted again, for people; None if it is not, or nothing is known yet.
    """
    if rule_run.look(at_once=True) is not None:
        return None
    if row and row.state in states.WAITING:
        return on_all_nodes(rule_run)
    state = row.state if row else account.state if account else None
    reason = "DeadLine" if state == "DEADLINE" else row.reason if row else ""
    case = rule_run.case(account, row.nodes if row else "")
    over = state == "OUT_OF_MEMORY" or (account is not None and account.over_memory)
    if over or failure.was_over_memory(case.log):
        rule_run.fail(failure.out_of_memory(case))
    elif rule_run.ended:
        rule_run.fail()
    elif state == "TIMEOUT":
        rule_run.fail(failure.time_limit(case))
    elif state == "CANCELLED":
        rule_run.fail(failure.cancelled_outside(case))
    elif advice := states.advice(reason):
        rule_run.fail(
            failure.never_starts(rule_run.request, reason, advice, rule_run.slurm_job or "")
        )
    elif state == states.PREEMPTED:
        said = f"{case.where} had to make place for another job"
        return f"{rule_run.rule}: {said}. It is submitted again."
    elif state in states.LOST:
        return _again(rule_run, case, states.LOST[state], resubmissions)
    elif _is_missing(rule_run):
        why = _without_a_word(rule_run) if state == "FAILED" else None
        return _again(rule_run, case, why, resubmissions)
    return None


def by_its_log(rule_run: RuleRun) -> None:
    """End a rule run that has failed, with no more than SLURM's log to say why."""
    case = rule_run.case()
    over = failure.was_over_memory(case.log)
    rule_run.fail(failure.out_of_memory(case) if over else None)


def refused(rule_run: RuleRun, said: str, advice: str) -> dict[str, Any]:
    """Give the error object of a rule run that SLURM never takes."""
    return failure.never_starts(rule_run.request, said, advice)


def not_taken(rule_run: RuleRun, said: str, patience: float) -> dict[str, Any]:
    """Give the error object of a rule run that SLURM did not take for too long."""
    return failure.cluster_away(rule_run.request, rule_run.refused_text or now(), said, patience)


def accounts(slurm_jobs: Iterable[str]) -> dict[str, Account]:
    """Ask the accounting, if the cluster has one; no answer is none."""
    global _has_accounting  # noqa: PLW0603 - one cluster
    if not _has_accounting:
        return {}
    answer, found = commands.accounts(slurm_jobs)
    if "accounting storage is disabled" in answer.said or "not on the PATH" in answer.said:
        _has_accounting = False
    return found


def _again(
    rule_run: RuleRun, case: failure.Case, why: str | None, resubmissions: int
) -> str | None:
    """Have a rule run submitted again, elsewhere, unless that was tried often enough."""
    if rule_run.resubmissions >= resubmissions:
        tries = rule_run.resubmissions + 1
        error = failure.node_failed(case, tries, why) if why else failure.lost(case, tries)
        rule_run.fail(error)
        return None
    rule_run.resubmissions += 1
    rule_run.missing_since = None
    if case.node:
        rule_run.avoid.add(case.node)
    return (
        f"{rule_run.rule}: {case.where} is lost: {why or 'SLURM knows nothing of it any more'}. It "
        f"is submitted again (resubmission {rule_run.resubmissions} of {resubmissions})."
    )


def on_all_nodes(rule_run: RuleRun) -> str | None:
    """Let a rule run that has found no other node be submitted for those that failed it, too.

    Returns
    -------
    str or None
        Why, for people; None if it avoids none.
    """
    if not rule_run.avoid:
        return None
    nodes = ", ".join(sorted(rule_run.avoid))
    rule_run.avoid.clear()
    rule_run.hopeless_since = None
    return (
        f"{rule_run.rule}: no node can run it but those that failed it ({nodes}). It is submitted "
        "again for these as well."
    )


def _without_a_word(rule_run: RuleRun) -> str:
    return "it ended without saying how" if rule_run.began else "it ended before it had begun"


def _is_missing(rule_run: RuleRun) -> bool:
    """Tell whether nothing was seen of a rule run for a while, neither by SLURM nor its guard."""
    if rule_run.is_alive():
        rule_run.missing_since = None
        return False
    moment = time.monotonic()
    rule_run.missing_since = rule_run.missing_since or moment
    return moment - rule_run.missing_since >= _GRACE


def _waiting(row: Row, rule_run: RuleRun) -> str:
    known = row.reason not in ("", "None")  # it has not thought about it yet
    reason = f": {states.explained(row.reason)}" if known else ""
    if rule_run.began:
        return f"SLURM has put job {row.id} back into its queue{reason}"
    return f"SLURM job {row.id} is pending{reason}"


def _pause(row: Row) -> str | None:
    """Say why a rule run does not go on that has begun for SLURM."""
    if row.state == "CONFIGURING":
        return f"SLURM job {row.id} waits for its nodes to start"
    if row.state in ("SUSPENDED", "STOPPED"):
        return f"SLURM job {row.id} is suspended"
    return None
