"""Runs the example: `python examples/scenario_explorer --help`."""

from __future__ import annotations

import argparse
import logging
from contextlib import suppress
from pathlib import Path

from explorer import create_app
from runner_api import Runner
from webhooks import secret_bytes
from werkzeug.serving import make_server


def main() -> None:
    """Serve the application until stopped."""
    parser = argparse.ArgumentParser("scenario_explorer", description=__doc__)
    parser.add_argument("--runner", default="http://127.0.0.1:8000", help="the job runner")
    parser.add_argument("--token-file", type=Path, required=True, help="its acting token")
    parser.add_argument("--secret-file", type=Path, required=True, help="secret of its webhooks")
    parser.add_argument("--type", default="import_timeseries", help="the job type to embed")
    parser.add_argument("--instance", default="explorer", help="our instance in the job runner")
    parser.add_argument("--user", default="jane", help="who is logged in")
    parser.add_argument("--port", type=int, default=9000, help="0: any that is free")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    token = given.token_file.read_text().strip()
    secret = secret_bytes(given.secret_file.read_text())
    app = create_app(Runner(given.runner, token, given.type, given.instance), secret, given.user)
    server = make_server("127.0.0.1", given.port, app, threaded=True)  # each page holds a thread
    print(f"The explorer is up: http://127.0.0.1:{server.server_port}", flush=True)
    with suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    main()
