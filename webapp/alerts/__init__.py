"""Incidents: what operators are told of, once when it begins and once when it ends."""

from webapp.alerts.watch import Watch, watch

__all__ = ["Watch", "watch"]
