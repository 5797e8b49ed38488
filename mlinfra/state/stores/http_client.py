"""Requests of Terraform's HTTP backend protocol: what is sent, which answers mean what.

https://developer.hashicorp.com/terraform/language/backend/http; GitLab's side of it is lib/api/terraform/state.rb.
"""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import field
from email.message import Message
from functools import cache
from http.client import HTTPException, HTTPMessage
from typing import IO, Any
from urllib.parse import urlsplit, urlunsplit

from mlinfra.model.dataclass import dataclass
from mlinfra.model.errors import StateError
from mlinfra.state.store import StoreUnavailable
from mlinfra.state.stores.writing import ATTEMPTS, pause

_TRANSIENT = (408, 429, 500, 502, 503, 504)
_LOCKED = (409, 423)


class LockedByOther(Exception):
    """The server says that another lock is held. ``info`` is what it tells of the holder."""

    def __init__(self, info: Mapping[str, Any]) -> None:
        super().__init__(str(info.get("ID", "unknown")))
        self.info = info


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpClient:
    """Where and how to ask. ``password`` never shows in a repr."""

    address: str
    lock_address: str
    unlock_address: str
    update_method: str = "POST"
    lock_method: str = "LOCK"
    unlock_method: str = "UNLOCK"
    username: str = ""
    password: str = field(default="", repr=False)
    verify: bool = True
    timeout: float = 30.0

    def fetch(self) -> bytes | None:
        """The document; None while there is none."""
        status, body, headers = self._send("GET", self.address)
        if status in (204, 404) or (status == 200 and not body):
            return None
        if status != 200:
            raise self._refused(status, body)
        expected = headers.get("Content-MD5")
        if expected and expected != _md5(body):
            raise StoreUnavailable(f"what {self.address} sent does not fit its Content-MD5", "run it again")
        return body

    def post(self, document: bytes, lock_id: str) -> None:
        """Replace the document. LockedByOther when ``lock_id`` is no longer the lock. Sent again freely: it is the whole."""
        status, body, _ = self._send(self.update_method, _with_id(self.address, lock_id), document)
        if status in _LOCKED:
            raise LockedByOther(_info(body))
        if not 200 <= status < 300:
            raise self._refused(status, body)

    def lock(self, info: Mapping[str, str]) -> None:
        """Take the server's lock. LockedByOther when it is taken (unless by this very ``info``: an answer was lost)."""
        status, body, _ = self._send(self.lock_method, self.lock_address, json.dumps(info).encode())
        if status in _LOCKED:
            found = _info(body)
            if found.get("ID") == info["ID"]:
                return
            raise LockedByOther(found)
        if status in (404, 405, 501):
            raise StoreUnavailable(
                f"{self.lock_address} does not know {self.lock_method}: the state cannot be locked",
                "set lock_address, unlock_address, lock_method and unlock_method (GitLab: …/lock, POST, DELETE)",
            )
        if not 200 <= status < 300:
            raise self._refused(status, body)

    def unlock(self, info: Mapping[str, Any]) -> bool:
        """Give the lock back; False when it was not held under this ID any more."""
        status, body, _ = self._send(self.unlock_method, self.unlock_address, json.dumps(dict(info)).encode())
        if status in (*_LOCKED, 400, 404):
            return False
        if not 200 <= status < 300:
            raise self._refused(status, body)
        return True

    def _send(self, method: str, url: str, body: bytes | None = None) -> tuple[int, bytes, Message]:
        """One exchange, tried again while the server or the network is unwell. Redirects are not followed."""
        headers = {"Accept": "application/json", "User-Agent": "mlinfra"}
        if body is not None:
            headers |= {"Content-Type": "application/json", "Content-MD5": _md5(body)}
        if self.username or self.password:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        request = urllib.request.Request(url, data=body, headers=headers, method=method)
        opener = _opener(self.verify)
        for attempt in range(ATTEMPTS):
            last = attempt == ATTEMPTS - 1
            try:
                with opener.open(request, timeout=self.timeout) as answer:
                    return answer.status, answer.read(), answer.headers
            except urllib.error.HTTPError as error:
                with error:
                    if error.code not in _TRANSIENT or last:
                        return error.code, error.read(), error.headers
            except (OSError, HTTPException) as error:
                reason = getattr(error, "reason", error)
                if last or isinstance(reason, ssl.SSLCertVerificationError):
                    raise StoreUnavailable(
                        f"{self._host()} cannot be reached: {reason}", "check state.address and network"
                    ) from error
            time.sleep(pause(attempt))
        raise AssertionError("unreachable")

    def _refused(self, status: int, body: bytes) -> StateError:
        if status in (401, 403):
            return StoreUnavailable(
                f"{self._host()} refuses access to the state (status {status})",
                "username and MLINFRA_HTTP_PASSWORD (or TF_HTTP_USERNAME, TF_HTTP_PASSWORD); GitLab: a token with the scope api",
            )
        if 300 <= status < 400:
            return StoreUnavailable(
                f"{self._host()} sends us elsewhere (status {status})", "set the final address in state.address"
            )
        told = body[:200].decode(errors="replace").strip()
        return StoreUnavailable(f"{self._host()} answered {status}" + (f": {told}" if told else ""))

    def _host(self) -> str:
        return urlsplit(self.address).netloc


@cache
def _opener(verify: bool) -> urllib.request.OpenerDirector:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return urllib.request.build_opener(_NoRedirect(), urllib.request.HTTPSHandler(context=context))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would become a GET, and a password would go to another host."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


def _with_id(url: str, lock_id: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=f"{parts.query}&ID={lock_id}" if parts.query else f"ID={lock_id}"))


def _md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def _info(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
