"""The server: finds the method, holds the request against its document, keeps the objects, runs long operations by polls."""

from __future__ import annotations

import itertools
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from fakes.google.documents import VERSIONS, Route, complaints, document, match, stored
from fakes.serving import Handler, served

TOKEN = "ya29.mlinfra-test"
PROJECT, NUMBER = "acme-ml", "123456789012"
_ITEMS = {"serviceAccounts": "accounts"}


class Refused(Exception):
    """An answer that is an error, in Google's shape."""

    def __init__(
        self, code: int, status: str, message: str, *, reason: str = "", metadata: Mapping[str, str] | None = None, link: str = "",
        field: str = "",
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.code, self.status, self.message, self.reason = code, status, message, reason
        self.metadata, self.link, self.field = dict(metadata or {}), link, field

    def body(self) -> dict[str, Any]:
        details: list[dict[str, Any]] = []
        if self.reason:
            info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": self.reason, "domain": "googleapis.com"}
            details.append({**info, "metadata": self.metadata})
        if self.field:
            violation = {"field": self.field, "description": self.message}
            details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]})
        if self.link:
            details.append({"@type": "type.googleapis.com/google.rpc.Help", "links": [{"description": "more", "url": self.link}]})
        error = {"code": self.code, "status": self.status, "message": self.message, "details": details}
        return {"error": {**error, "errors": [{"reason": self.reason or self.status, "message": self.message}]}}


@dataclass
class Request:
    service: str
    method: str
    http: str
    path: str
    query: dict[str, str]
    body: Any
    status: int = 0


@dataclass
class Operation:
    """Done after some more polls; then ``effect`` happens, or ``error`` is told."""

    name: str
    service: str
    left: int
    effect: Callable[[], dict[str, Any]]
    about: dict[str, Any]
    error: dict[str, Any] | None = None
    done: bool = False
    response: dict[str, Any] = field(default_factory=dict)


class Google:
    """What there is, what was asked, and what shall go wrong.

    ``objects``    service → full name → body; ``invalid``: requests that no document allows
    ``polls``      how often an operation is looked at before it is done
    ``failures``   method → errors that its next operations end with; ``refusals``: method → errors that its next calls meet
    ``lacking``    permissions that the credentials do not hold
    ``runner``     called when a job starts to run: gives its end state and error (tests of whole stacks run the code)
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = ""
        self.objects: dict[str, dict[str, dict[str, Any]]] = {service: {} for service in VERSIONS}
        self.requests: list[Request] = []
        self.invalid: list[str] = []
        self.polls = 2
        self.failures: dict[str, list[Any]] = {}
        self.refusals: dict[str, list[Refused]] = {}
        self.lacking: set[str] = set()
        self.operations: dict[str, Operation] = {}
        self.sent: dict[str, str] = {}
        self.policy: dict[str, Any] = {
            "version": 1,
            "etag": "BwE0",
            "bindings": [{"role": "roles/owner", "members": ["user:boss@acme.example"]}],
        }
        self.counter = itertools.count(1_000_000_001)
        self.guard = threading.RLock()
        self.runner: Callable[[Google, dict[str, Any]], tuple[str, dict[str, Any] | None]] = lambda _google, _job: (
            "SUCCEEDED",
            None,
        )
        self.after_answer: Callable[[Request], None] = lambda _request: None
        self.instance_started: Callable[[dict[str, Any]], dict[str, str]] = lambda _body: {}

    # for tests

    def settings(self) -> dict[str, Any]:
        endpoints = {service: f"{self.address}/{service}" for service in VERSIONS if service != "storage"}
        return {"project": PROJECT, "endpoints": {**endpoints, "storage": self.address}, "poll": 0.005}

    def credentials(self, folder: Path) -> Path:
        """A service account's file, whose tokens come from here."""
        account = {
            "type": "service_account", "project_id": PROJECT, "private_key_id": "1", "private_key": _private_key(),
            "client_email": f"ci@{PROJECT}.iam.gserviceaccount.com", "token_uri": f"{self.address}/token",
        }  # fmt: skip
        file = folder / "service-account.json"
        file.write_text(json.dumps(account))
        return file

    def everything(self) -> list[str]:
        """Names of all objects that there are, and grants that are not the project's own."""
        names = [f"{service}/{name}" for service, held in self.objects.items() for name in held]
        return sorted([*names, *(f"binding {b['role']}" for b in self.policy["bindings"] if b["role"] != "roles/owner")])

    def named(self, service: str, part: str) -> list[dict[str, Any]]:
        return [body for name, body in self.objects[service].items() if part in name]

    # one request

    def answer(self, http: str, url: str, headers: Mapping[str, str], raw: bytes) -> tuple[int, bytes, dict[str, str]]:
        parts = urlsplit(url)
        metadata = parts.path.endswith("/service-accounts/default/token") and headers.get("Metadata-Flavor") == "Google"
        if parts.path == "/token" or metadata:
            token = {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}
            return 200, json.dumps(token).encode(), {}
        with self.guard:
            query = {k: v[-1] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
            try:
                if headers.get("Authorization") != f"Bearer {TOKEN}":
                    raise Refused(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
                if re.match(r"/(upload/|download/|batch/)?storage/", parts.path):
                    from fakes.google import storage

                    return storage.answer(self, http, parts.path, query, headers, raw)
                _, service, rest = parts.path.split("/", 2)
                body = json.loads(raw) if raw else None
                return 200, self.act(service, http, "/" + unquote(rest), query, body).encode(), {}
            except Refused as refused:
                if self.requests:
                    self.requests[-1].status = refused.code
                return refused.code, json.dumps(refused.body()).encode(), {}

    def act(self, service: str, http: str, path: str, query: dict[str, str], body: Any) -> str:
        """The answer, as JSON: what happens after it is not in it."""
        path = path.replace(f"/{NUMBER}/", f"/{PROJECT}/")
        route, params = self.checked(service, http, path, query, body)
        request = self.requests[-1]
        if f"projects/{PROJECT}" not in path and "projects/" in path:
            raise Refused(403, "PERMISSION_DENIED", f"Project {path.split('projects/')[1].split('/')[0]} not found or permission denied.",
                          reason="CONSUMER_INVALID")  # fmt: skip
        refusals = self.refusals.get(route.name)
        if refusals:
            raise refusals.pop(0)
        answer = json.dumps(self.handler(route)(route, params, query, body))
        request.status = 200
        self.after_answer(request)
        return answer

    def checked(self, service: str, http: str, path: str, query: dict[str, str], body: Any) -> tuple[Route, dict[str, str]]:
        """The method that this request is. What its document does not allow is refused with 400, and counted."""
        self.requests.append(Request(service, "", http, path, query, body))
        found = match(service, http, path) if service in VERSIONS else None
        if found is None:
            return self._invalid(f"{service}: no method for {http} {path}")
        route, params = found
        self.requests[-1].method = f"{service}.{route.name}"
        everywhere = document(service).get("parameters", {})
        for name in query:
            if name not in route.params and name not in everywhere:
                self._invalid(f"{route.name}: unknown parameter {name}")
        for name, param in route.params.items():
            if param.get("required") and param["location"] == "query" and name not in query:
                self._invalid(f"{route.name}: the parameter {name} is missing")
            if name in query and param.get("enum") and query[name] not in param["enum"]:
                self._invalid(f"{route.name}: {name}={query[name]}")
            if param.get("type") == "boolean" and name in query and query[name].lower() not in ("true", "false"):
                self._invalid(f"{route.name}: {name}={query[name]} is no boolean")
        if "requestId" in query:
            try:
                uuid.UUID(query["requestId"])
            except ValueError:
                self._invalid(f"{route.name}: requestId is no UUID")
        if route.request:
            said = list(complaints(service, route.request, body or {}, f"{service}.{route.name}"))
            if said:
                self._invalid(f"{route.name}: {'; '.join(said)}")
        elif body:
            self._invalid(f"{route.name} takes no body")
        if route.verb == "patch" and "updateMask" in route.params and query.get("updateMask"):
            known = document(service)["schemas"][route.request]["properties"]
            for step in query["updateMask"].split(","):
                if step.partition(".")[0] not in known:
                    self._invalid(f"{route.name}: updateMask names {step}")
        return route, params

    def _invalid(self, why: str) -> Any:
        self.invalid.append(why)
        raise Refused(400, "INVALID_ARGUMENT", why)

    def handler(self, route: Route) -> Callable[..., dict[str, Any]]:
        from fakes.google import compute, generic, vertex

        own = vertex.HANDLERS.get(f"{route.service}.{route.name}") or compute.HANDLERS.get(f"{route.service}.{route.name}")
        if own is not None:
            return lambda *arguments: own(self, *arguments)
        if route.service == "compute":
            return lambda *arguments: compute.handle(self, *arguments)
        return lambda *arguments: generic.handle(self, *arguments)

    # operations

    def begin(
        self, route: Route, target: str, effect: Callable[[], dict[str, Any]], parent: str, about: Mapping[str, Any] | None = None
    ) -> Operation:
        name = f"{parent}/operations/{next(self.counter)}"
        failing = self.failures.get(route.name)
        error = failing.pop(0) if failing else None
        operation = Operation(name, route.service, self.polls, effect, {"target": target, **(about or {})}, error)
        self.operations[f"{route.service}/{name}"] = operation
        if self.polls == 0:
            self.look(operation)
        return operation

    def look(self, operation: Operation) -> None:
        """One poll."""
        if operation.done:
            return
        operation.left -= 1
        if operation.left <= 0:
            operation.done = True
            if operation.error is None:
                try:
                    operation.response = operation.effect()
                except Refused as refused:
                    operation.error = {"code": {404: 5, 409: 6, 400: 9}.get(refused.code, 13), "message": refused.message}

    def told(self, operation: Operation) -> dict[str, Any]:
        out: dict[str, Any] = {
            "name": operation.name,
            "metadata": {"@type": "type.googleapis.com/x.OperationMetadata", **operation.about},
        }
        if operation.done:
            out["done"] = True
            if operation.error is not None:
                out["error"] = operation.error
            else:
                out["response"] = operation.response
        return out

    def keep(self, service: str, schema: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return stored(service, schema, body)


@cache
def _private_key() -> str:
    """A key of an account's own, made once: that takes longer than most tests."""
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    rsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem: bytes = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem.decode()


@contextmanager
def google(folder: Path) -> Iterator[Google]:
    """A running server on a free port."""
    pytest.importorskip(
        "googleapiclient", reason="google-api-python-client, which carries the discovery documents, is not installed"
    )
    state = Google(folder)

    class Answers(Handler):
        def any(self) -> None:
            code, data, headers = state.answer(self.command, self.path, self.headers, self.whole_body())
            self.reply(code, data, {"Content-Type": "application/json", **headers})

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = any

    with served(Answers) as state.address:
        yield state
