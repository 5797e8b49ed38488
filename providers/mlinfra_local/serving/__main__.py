"""``python -m mlinfra_local.serving --service FOLDER --port PORT``: serve what ``FOLDER/config.json`` says, on the loopback."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
from pathlib import Path

_DRAIN = 20
_log = logging.getLogger("mlinfra.serving")


def main() -> int:
    """Exit code 1, with the reason in the log, when the port is taken or a model cannot be loaded."""
    parser = argparse.ArgumentParser(prog="mlinfra_local.serving")
    parser.add_argument("--service", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

    import uvicorn

    from mlinfra_local.orphan import end_with_folder
    from mlinfra_local.services import HOST
    from mlinfra_local.serving.app import Server
    from mlinfra_local.serving.config import REASON, read_config, read_token
    from mlinfra_local.serving.deployment import Deployer
    from mlinfra_local.serving.models import LoadError

    end_with_folder()
    # Taken before the models are loaded, answered after: nobody else can have the port, and no request comes too early.
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, arguments.port))
    except OSError as error:
        _log.error("port %d cannot be had: %s", arguments.port, error)
        return 1
    config = read_config(arguments.service)
    if config is None:
        _log.error("%s holds no configuration", arguments.service)
        return 1
    deployer = Deployer(arguments.service, config.environment_names)
    try:
        deployer.deploy_first(config)
    except LoadError as error:
        (arguments.service / REASON).write_text(str(error))
        return 1
    app = Server(deployer, read_token(arguments.service)).app()
    settings = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=_DRAIN, server_header=False, backlog=2048
    )
    _log.info("serving %s on port %d", ", ".join(config.variants), arguments.port)
    uvicorn.Server(settings).run(sockets=[listener])
    return 0


if __name__ == "__main__":
    sys.exit(main())
