"""Notices: one mail per job at its end, webhooks, alerts for operators.

What is to be told is a row of the outbox, written with the change that it tells of
(`webapp.notify.outbox`). One process of all hosts sends it (`watch`), again and again until it has
arrived or its time is over.
"""

from __future__ import annotations

from webapp.notify.outbox import alert, announce
from webapp.notify.rules import DEFAULT_ENDS, warnings
from webapp.service import Service

__all__ = ["DEFAULT_ENDS", "alert", "announce", "warnings", "watch"]


def watch(service: Service) -> None:
    """Send what the outbox has, until told to stop (SIGTERM); of all processes, one does it.

    Call it in the main thread of a process of its own, which forks no others: a fork would hold
    the lease, too. The others wait until that one ends, however it does.
    """
    # with what speaks HTTP and SMTP: only here it is needed
    from webapp.notify.notifier import watch as send_for_ever

    send_for_ever(service)
