"""Retention: files of jobs go when their time is over, or the disk is low.

What is kept how long, `policies` knows; `walk` finds the jobs whose time is over, `sweep` removes
their files, a budget at a time; docs/retention.md tells all of it to people.
"""

from webapp.retention.disk import free
from webapp.retention.policies import Policies
from webapp.retention.survey import Total, survey
from webapp.retention.sweep import Report, Sweeper
from webapp.retention.watch import watch

__all__ = ["Policies", "Report", "Sweeper", "Total", "free", "survey", "watch"]
