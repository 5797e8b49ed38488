"""A server of Terraform's HTTP state protocol that enforces it: the lock's ID on every write, 423 or 409 with the holder,
Content-MD5, basic auth. ``gitlab=True`` behaves as GitLab's lib/api/terraform/state.rb does: POST and DELETE on …/lock, every
field of the lock info required, the conflict answer echoing the asker's fields beside the holder's ID, serials used once."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fakes.serving import Handler, served

LOCK_FIELDS = ("ID", "Operation", "Info", "Who", "Version", "Created", "Path")


@dataclass
class StateServer:
    """What it holds, by path, and what it was asked."""

    address: str = ""
    gitlab: bool = False
    user: str = "ci"
    password: str = "hunter2-http"
    documents: dict[str, bytes] = field(default_factory=dict)
    serials: dict[str, set[int]] = field(default_factory=dict)
    locks: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    guard: threading.RLock = field(default_factory=threading.RLock)
    fail_next: list[int] = field(default_factory=list)
    """Statuses to answer the next requests with."""

    def settings(self, path: str) -> dict[str, str]:
        """The ``state:`` block for a state at ``path``."""
        address = f"{self.address}/{path}"
        block = {"store": "http", "address": address, "lock_address": f"{address}/lock", "username": self.user}
        return {**block, "lock_method": "POST", "unlock_method": "DELETE"} if self.gitlab else block


@contextmanager
def http_state(*, gitlab: bool = False) -> Iterator[StateServer]:
    """A running server on a free port."""
    state = StateServer(gitlab=gitlab)

    class Answers(_Answers):
        server_state = state

    with served(Answers) as state.address:
        yield state


class _Answers(Handler):
    server_state: StateServer

    def _any(self) -> None:
        state = self.server_state
        body = self.whole_body()
        parts = urlsplit(self.path)
        path, given = parts.path.strip("/"), parse_qs(parts.query).get("ID", [""])[0]
        with state.guard:
            state.requests[self.command] += 1
            if state.fail_next:
                return self._answer(state.fail_next.pop(0))
            expected = base64.b64encode(f"{state.user}:{state.password}".encode()).decode()
            if self.headers.get("Authorization") != f"Basic {expected}":
                return self._answer(401)
            md5 = self.headers.get("Content-MD5")
            if body and md5 != base64.b64encode(hashlib.md5(body).digest()).decode():
                return self._answer(400, b"bad Content-MD5")
            if path.endswith("/lock"):
                return self._lock_or_unlock(path.removesuffix("/lock"), body)
            return self._document(path, given, body)

    do_GET = do_POST = do_DELETE = do_LOCK = do_UNLOCK = do_PUT = _any

    def _document(self, path: str, given: str, body: bytes) -> None:
        state = self.server_state
        lock = state.locks.get(path)
        if self.command == "GET":
            found = state.documents.get(path)
            return self._answer(200, found) if found is not None else self._answer(204 if state.gitlab else 404)
        if lock is None or given != lock["ID"]:
            return self._answer(409 if state.gitlab else 423, json.dumps(lock or {}).encode())
        if self.command == "DELETE":
            state.documents.pop(path, None)
            return self._answer(200)
        if self.command != "POST":
            return self._answer(405)
        if state.gitlab:
            serial = json.loads(body)["serial"]
            used = state.serials.setdefault(path, set())
            if serial in used and state.documents.get(path) != body:
                return self._answer(422, b"Version has already been taken")
            used.add(serial)
        state.documents[path] = body
        return self._answer(200)

    def _lock_or_unlock(self, path: str, body: bytes) -> None:
        state = self.server_state
        info = json.loads(body or b"{}")
        held = state.locks.get(path)
        if self.command == ("POST" if state.gitlab else "LOCK"):
            if state.gitlab and any(not isinstance(info.get(name), str) for name in LOCK_FIELDS):
                return self._answer(400, b"a field is missing")
            if held is not None:
                shown = {**info, "ID": held["ID"], "Who": held["Who"], "Created": held["Created"]} if state.gitlab else held
                return self._answer(409 if state.gitlab else 423, json.dumps(shown).encode())
            state.locks[path] = info
            return self._answer(200, json.dumps(info).encode())
        if self.command == ("DELETE" if state.gitlab else "UNLOCK"):
            if held is None or held["ID"] != info.get("ID"):
                return self._answer(409, json.dumps(held or {}).encode())
            del state.locks[path]
            return self._answer(200)
        return self._answer(405)

    def _answer(self, status: int, body: bytes = b"") -> None:
        md5 = {"Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()} if body else {}
        self.reply(status, body, md5)
