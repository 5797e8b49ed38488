"""The provider's side of the admin routes: ask a serving process what it serves, and give it something else to serve."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlinfra.provider.failures import Failure, Invalid, Timeout, Transient
from mlinfra_local.services import HOST
from mlinfra_local.serving.config import ServingConfig, read_token

CONFIG_ROUTE = "/-/config"
RELOAD_ROUTE = "/-/reload"
_PATIENCE = 5.0  # seconds in which a process that is well says what it serves


def live_config(folder: Path, port: int) -> ServingConfig | None:
    """What the process serves just now; None when it does not answer."""
    try:
        status, found = _ask(folder, port, "GET", CONFIG_ROUTE, None, _PATIENCE)
        return ServingConfig.from_json(found) if status == 200 else None
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None


def reload(folder: Path, port: int, config: ServingConfig, environment: Mapping[str, str], *, timeout: float) -> None:
    """Have the process load what is new, then swap. When this raises, it serves what it served before.

    Invalid when a model cannot be loaded, Timeout when that takes longer than ``timeout`` seconds, Transient when the process
    does not answer."""
    body = {"config": config.to_json(), "environment": dict(environment), "timeout": timeout}
    try:
        status, found = _ask(folder, port, "POST", RELOAD_ROUTE, body, timeout + 10)
    except TimeoutError as error:
        raise Timeout(f"the serving process did not finish its change in {timeout:g} seconds") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Transient(f"the serving process does not answer: {error}") from error
    if status != 200:
        failure: type[Failure] = Timeout if status == 504 else Invalid
        raise failure(f"{found.get('message', 'the change was refused')}; what was served before is still served")


def _ask(folder: Path, port: int, method: str, route: str, body: object, timeout: float) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
    try:
        headers = {"authorization": f"Bearer {read_token(folder)}", "content-type": "application/json"}
        connection.request(method, route, body=None if body is None else json.dumps(body), headers=headers)
        response = connection.getresponse()
        return response.status, dict(json.loads(response.read()))
    finally:
        connection.close()
