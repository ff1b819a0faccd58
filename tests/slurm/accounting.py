"""Accounting of a cluster: MariaDB on a socket of its own, slurmdbd, accounts and QOS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from tests.slurm.processes import Daemons

SMALL = (
    "--skip-name-resolve",
    "--innodb-flush-method=nosync",  # nothing of it outlives the cluster
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=16M",
)
ALONE = (
    "--skip-networking",
    "--skip-grant-tables",  # who may open the socket may do everything
    "--skip-log-bin",
    "--innodb-lock-wait-timeout=900",
    "--performance-schema=OFF",
)
QOS = {
    "low": "Priority=0",
    "high": "Priority=1000",
    "small": "MaxTRESPerJob=cpu=2",  # a larger job waits for ever
    "single": "MaxJobsPerUser=1",
}
ACCOUNTS = {
    "climate": "",
    "energy": "",
    "tiny": "GrpTRES=cpu=2",  # a larger job waits for ever
    "few": "MaxSubmitJobs=2",  # the third is refused
}
DEFAULT = "DefaultAccount=climate"
USERS = ("root", "nobody")  # and whoever starts the cluster


def start_database(daemons: Daemons, account: str) -> None:
    """Make a database server and wait until it answers."""
    folder = daemons.folder
    common = ["--no-defaults", f"--datadir={folder}/db", f"--user={account}", *SMALL]
    more = ("--auth-root-authentication-method=normal", "--skip-test-db")
    done = daemons.once("mariadb-install-db", *common, *more)
    if done.returncode != 0:
        raise RuntimeError(f"no database could be made: {done.stdout}{done.stderr}")
    socket = folder / "db.socket"
    daemons.start("mariadbd", "mariadbd", *common, *ALONE, f"--socket={socket}")
    daemons.until("mariadbd", socket.is_socket)


def start_slurmdbd(daemons: Daemons, env: Mapping[str, str]) -> None:
    """Start slurmdbd and wait until it answers."""
    socket = {"MYSQL_UNIX_PORT": f"{daemons.folder}/db.socket"}
    daemons.start("slurmdbd", "slurmdbd", "-D", env={**env, **socket})

    def answers() -> bool:
        return daemons.once("sacctmgr", "-n", "show", "cluster", env=env).returncode == 0

    daemons.until("slurmdbd", answers)


def add_accounts(daemons: Daemons, users: Iterable[str], env: Mapping[str, str]) -> None:
    """Make QOS, accounts with their limits, and users that may use all of both."""

    def manage(*words: str) -> None:
        done = daemons.once("sacctmgr", "-i", *words, env=env)
        if done.returncode != 0:
            raise RuntimeError(f"sacctmgr {words}: {done.stdout}{done.stderr}")

    def limit(kind: str, limits: Mapping[str, str]) -> None:
        # Each change takes half a second, most of it waiting: do those of one kind at once.
        changes = [("modify", kind, name, "set", one) for name, one in limits.items() if one]
        with ThreadPoolExecutor(len(changes)) as pool:
            list(pool.map(lambda words: manage(*words), changes))

    manage("add", "cluster", "test")
    manage("add", "qos", ",".join(QOS), "Priority=10")
    limit("qos", QOS)
    names = ",".join(ACCOUNTS)
    allowed = f"QOS={','.join(['normal', *QOS])}"
    manage("add", "account", names, allowed, "DefaultQOS=normal")
    limit("account", ACCOUNTS)
    manage("add", "user", ",".join(sorted({*USERS, *users})), f"Account={names}", DEFAULT)
    manage("modify", "user", "root", "set", DEFAULT)  # it had an account from the beginning
