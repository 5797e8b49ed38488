"""An Azure Container Registry: a real registry behind what Azure puts in front of it, the exchange of Entra's tokens for its own.

https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md
"""

from __future__ import annotations

import base64
import http.client
import json
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fakes.serving import Handler, served
from live.servers.locked_registry import PASSWORD, USER, LockedRegistry

_NOBODY = "00000000-0000-0000-0000-000000000000"
_KEPT = ("content-type", "content-length", "accept", "content-range", "range")


@contextmanager
def container_registry(folder: Path, audience: Callable[[str], str]) -> Iterator[str]:
    """``HOST:PORT``. ``audience`` says for whom a token was given out; one for nobody is not exchanged."""
    behind = LockedRegistry(folder / "registry")

    class Front(Handler):
        def any(self) -> None:
            body = self.whole_body()
            if self.path == "/oauth2/exchange" and self.command == "POST":
                return self.exchange({k: v[-1] for k, v in urllib.parse.parse_qs(body.decode()).items()})
            headers = {k: v for k, v in self.headers.items() if k.lower() in _KEPT} | {"Host": self.headers["Host"]}
            scheme, _, told = self.headers.get("Authorization", "").partition(" ")
            user, _, password = base64.b64decode(told).decode().partition(":") if scheme == "Basic" else ("", "", "")
            if user == _NOBODY and password == PASSWORD:
                headers["Authorization"] = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            upstream = http.client.HTTPConnection(behind.host, timeout=60)
            upstream.request(self.command, self.path, body or None, headers)
            answer = upstream.getresponse()
            data = answer.read()
            kept = {k: v for k, v in answer.getheaders() if k.lower() not in ("transfer-encoding", "connection", "date")}
            self.reply(answer.status, data, kept)
            upstream.close()
            return None

        def exchange(self, given: dict[str, str]) -> None:
            allowed = given.get("grant_type") == "access_token" and audience(f"Bearer {given.get('access_token')}") != ""
            answer: dict[str, Any] = {"refresh_token": PASSWORD} if allowed else {"errors": [{"code": "UNAUTHORIZED"}]}
            self.reply(200 if allowed else 401, json.dumps(answer).encode(), {"Content-Type": "application/json"})

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = any

    try:
        with served(Front) as address:
            yield address.removeprefix("http://")
    finally:
        behind.stop()
