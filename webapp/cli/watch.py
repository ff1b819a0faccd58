"""What a web server has beside it, started as ``python -m webapp.cli.watch reconciler|notifier``.

Thus notices and alerts go out, and jobs are put right, even when no worker is alive. Workers have
the same: of all of them, one at a time does the work.
"""

from __future__ import annotations

import sys

from webapp import notify, reconcile
from webapp.cli.logs import set_up_logs
from webapp.service import Service

_TASKS = {"reconciler": reconcile.watch, "notifier": notify.watch}


def main(name: str) -> None:
    """Do one of the tasks for ever."""
    service = Service.open()
    set_up_logs(service.settings.log_level, service.settings.log_format)
    _TASKS[name](service)


if __name__ == "__main__":
    main(sys.argv[1])
