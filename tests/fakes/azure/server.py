"""The server: takes an ARM address apart, holds the request against its contract, keeps the objects, runs long operations by polls."""

from __future__ import annotations

import copy
import itertools
import json
import re
import ssl
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from fakes import entra
from fakes.azure.contracts import ALIASES, SOURCE, complaints, known
from fakes.serving import Handler, served

SUBSCRIPTION = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
PAGE = 2


class Refused(Exception):
    """An answer that is an error, in ARM's shape."""

    def __init__(self, status: int, code: str, message: str, *, retry_after: str = "", target: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.retry_after, self.target = status, code, message, retry_after, target

    def body(self) -> dict[str, Any]:
        return {"error": {"code": self.code, "message": self.message, **({"target": self.target} if self.target else {})}}


@dataclass
class Request:
    http: str
    path: str
    query: dict[str, str]
    body: Any
    type: str = ""
    status: int = 0


@dataclass
class Operation:
    """Done after some more looks; then ``effect`` happens, or ``error`` is told and ``broken`` happens."""

    left: int
    effect: Callable[[], None]
    broken: Callable[[], None] = lambda: None
    error: dict[str, Any] | None = None
    state: str = "InProgress"
    about: str = ""


@dataclass(frozen=True)
class Target:
    """What an address names: ``id`` without the name when it is a collection (``listing``)."""

    id: str
    type: str
    parent: str
    listing: bool = False
    action: str = ""


class Azure:
    """What there is, what was asked, and what shall go wrong.

    ``objects``    id in lower case → body; ``invalid``: requests that no contract allows; ``unchecked``: types that none is published of
    ``polls``      how often an operation is looked at before it is done
    ``failures``   ``"PUT type"`` → errors that its next operations end with; ``refusals``: the same → errors that its next requests meet;
                   ``busy`` next looks at operations are throttled
    ``runner``     called when a job starts to run: gives its end state and error
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = ""
        self.certificate, self.key = entra.certificate(folder)
        self.authority = entra.Authority()
        self.source = SOURCE
        self.objects: dict[str, dict[str, Any]] = {}
        self.deleted: dict[str, dict[str, Any]] = {}
        self.requests: list[Request] = []
        self.invalid: list[str] = []
        self.unchecked: set[str] = set()
        self.polls = 2
        self.busy = 0
        self.throttled = 0
        self.failures: dict[str, list[dict[str, Any]]] = {}
        self.refusals: dict[str, list[Refused]] = {}
        self.unregistered: set[str] = set()
        self.operations: dict[str, Operation] = {}
        self.counter = itertools.count(1)
        self.guard = threading.RLock()
        self.after_answer: Callable[[Request], None] = lambda _request: None
        self.runner: Callable[[Azure, str, dict[str, Any]], tuple[str, str]] = lambda _azure, _id, _job: ("Completed", "")
        self.machine_started: Callable[[str, dict[str, Any]], str] = lambda _id, _body: "203.0.113.7"
        self.container_changed: Callable[[str, bool], None] = lambda _name, _made: None
        self.signed: Callable[[str], str] = lambda url: url
        self.blob_endpoint = "https://{account}.blob.core.windows.net"

    # for tests

    def settings(self) -> dict[str, Any]:
        blob = {} if "core.windows.net" in self.blob_endpoint else {"blob": self.blob_endpoint}
        return {
            "subscription": SUBSCRIPTION, "endpoints": {"arm": self.address, **blob}, "authority": self.address, "poll": 0.005,
        }  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the app that may sign in here."""
        return entra.environment(self.address, self.certificate)

    def everything(self) -> list[str]:
        """The ids of all objects that there are; how an account keeps blobs is always there, and is no object to leave behind."""
        return sorted(str(body["id"]) for body in self.objects.values() if not body["type"].endswith("/blobServices"))

    def have(self, id: str, **body: Any) -> dict[str, Any]:
        """Put an object there, as if it had always been."""
        from fakes.azure import services

        target = taken_apart(Request("PUT", id, {}, None))
        self.objects[id.lower()] = services.born(self, target, {"location": "eastus", **body}, None)
        return self.objects[id.lower()]

    def of(self, type: str) -> list[dict[str, Any]]:
        return [body for body in self.objects.values() if body["type"].lower() == type.lower()]

    def at(self, id: str) -> dict[str, Any]:
        return self.objects[id.lower()]

    def children(self, id: str) -> list[str]:
        return [key for key in self.objects if key.startswith(id.lower() + "/")]

    # one request

    def answer(self, http: str, url: str, headers: Mapping[str, str], raw: bytes) -> tuple[int, bytes, dict[str, str]]:
        parts = urlsplit(url)
        about = {"x-ms-request-id": str(uuid.uuid4()), "Content-Type": "application/json"}
        if parts.path.startswith(f"/{entra.TENANT}/"):
            try:
                return 200, json.dumps(self.authority.answer(self.address, parts.path, raw)).encode(), about
            except entra.NoToken as refused:
                return 401, json.dumps({"error": "invalid_client", "error_description": str(refused)}).encode(), about
        with self.guard:
            query = {k: v[-1] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
            request = Request(http, unquote(parts.path), query, json.loads(raw) if raw else None)
            try:
                if self.authority.audience(headers.get("Authorization", "")) != self.address:
                    raise Refused(401, "InvalidAuthenticationToken", "The access token is invalid.")
                self.requests.append(request)
                status, body, more = self.act(request, headers)
            except Refused as refused:
                status, body = refused.status, refused.body()
                more = {"Retry-After": refused.retry_after} if refused.retry_after else {}
            request.status = status
            if status < 400:
                self.after_answer(request)
            data = b"" if body is None else json.dumps(body).encode()
            return status, data, {**about, **more}

    def act(self, request: Request, headers: Mapping[str, str]) -> tuple[int, Any, dict[str, str]]:
        from fakes.azure import services

        if "/operations/" in request.path and "/mlinfra-test/" in request.path:
            return self._looked_at(request)
        if "api-version" not in request.query:
            self._invalid(request, "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required.")
        if f"/subscriptions/{SUBSCRIPTION}".lower() not in request.path.lower():
            raise Refused(404, "SubscriptionNotFound", f"The subscription of '{request.path}' could not be found.")
        own = services.special(self, request)
        if own is not None:
            return own
        target = taken_apart(request)
        request.type = target.type
        refusals = self.refusals.get(f"{request.http} {target.type}")
        if refusals:
            raise refusals.pop(0)
        self._checked(request, target)
        if target.listing:
            return self._listed(request, target)
        if target.action:
            return services.acted(self, request, target)
        return getattr(self, f"_{request.http.lower()}")(request, target, headers)

    def _checked(self, request: Request, target: Target) -> None:
        """What the contract does not allow is refused with 400, and counted."""
        found = known(target.type)
        if found is None:
            self.unchecked.add(target.type)
        elif request.query["api-version"] != found[1] and not target.action:
            self._invalid(
                request, "InvalidApiVersionParameter", f"{target.type} is {found[1]} here, not {request.query['api-version']}"
            )
        if request.http in ("PUT", "PATCH"):
            if not isinstance(request.body, dict):
                self._invalid(request, "InvalidRequestContent", "The request content was invalid.")
            said = list(complaints(target.type, request.body, partial=request.http == "PATCH")) if found else []
            if said:
                self._invalid(request, "InvalidRequestContent", f"{target.type}: {'; '.join(said[:4])}")
        namespace = target.type.partition("/")[0]
        if namespace in self.unregistered and request.http == "PUT":
            raise Refused(
                409, "MissingSubscriptionRegistration", f"The subscription is not registered to use namespace '{namespace}'. See "
                "https://aka.ms/rps-not-found for how to register subscriptions.",
            )  # fmt: skip

    def _invalid(self, request: Request, code: str, why: str) -> None:
        self.invalid.append(f"{request.http} {request.path}: {why}")
        raise Refused(400, code, why)

    # objects

    def _get(self, request: Request, target: Target, headers: Mapping[str, str]) -> tuple[int, Any, dict[str, str]]:
        from fakes.azure import services

        held = self.found(target)
        self._by_looks(target.id)
        held = self.found(target)
        services.looked(self, target, held)
        return 200, self.shown(held), {"ETag": held["etag"]}

    def _put(self, request: Request, target: Target, headers: Mapping[str, str]) -> tuple[int, Any, dict[str, str]]:
        from fakes.azure import services

        held = self.objects.get(target.id.lower())
        self._precondition(held, headers)
        services.may_be_made(self, target, request.body, held)
        self._still(held, target)
        old = copy.deepcopy(held)
        body = services.born(self, target, copy.deepcopy(request.body), held)
        self.objects[target.id.lower()] = body
        return self._begin(request, target, 201 if held is None else 200, lambda: services.made(self, target, old is None), old)

    def _patch(self, request: Request, target: Target, headers: Mapping[str, str]) -> tuple[int, Any, dict[str, str]]:
        from fakes.azure import services

        held = self.found(target)
        self._precondition(held, headers)
        why = services.not_patchable(target, request.body)
        if why:
            self._invalid(request, "InvalidRequestContent", f"{target.type}: {why}")
        self._still(held, target)
        merged = merge({k: v for k, v in held.items() if k in request.body}, request.body)
        whole = {**{k: v for k, v in held.items() if k not in ("id", "name", "type", "etag", "systemData")}, **merged}
        services.may_be_made(self, target, whole, held)
        old = copy.deepcopy(held)
        body = services.born(self, target, whole, held)
        self.objects[target.id.lower()] = body
        return self._begin(request, target, 200, lambda: services.made(self, target, False), old)

    def _delete(self, request: Request, target: Target, headers: Mapping[str, str]) -> tuple[int, Any, dict[str, str]]:
        from fakes.azure import services

        held = self.objects.get(target.id.lower())
        if held is None:
            return 204, None, {}
        services.may_go(self, request, target, held)

        def effect() -> None:
            for key in [target.id.lower(), *self.children(target.id)]:
                body = self.objects.pop(key, None)
                if body is not None:
                    services.gone(self, body, purged=request.query.get("forceToPurge") == "true")

        if services.style(target.type) == "sync":
            effect()
            return 200, None, {}
        held["properties"]["provisioningState"] = "Deleting"
        error = (self.failures.get(f"DELETE {target.type}") or [None]).pop(0)
        operation = self._operation(effect, error, lambda: held["properties"].update(provisioningState="Failed"), target.id)
        return 202, None, {"Location": operation, "Retry-After": "0"}

    def _listed(self, request: Request, target: Target) -> tuple[int, Any, dict[str, str]]:
        if request.http != "GET":
            raise Refused(405, "MethodNotAllowed", request.http)
        below = f"{target.id.lower()}/"
        every = [self.shown(b) for k, b in sorted(self.objects.items()) if k.startswith(below) and "/" not in k[len(below) :]]
        start = int(request.query.get("$skiptoken") or 0)
        answer: dict[str, Any] = {"value": every[start : start + PAGE]}
        if start + PAGE < len(every):
            version = request.query["api-version"]
            answer["nextLink"] = f"{self.address}{request.path}?api-version={version}&$skiptoken={start + PAGE}"
        return 200, answer, {}

    def found(self, target: Target) -> dict[str, Any]:
        held = self.objects.get(target.id.lower())
        if held is None and target.type.endswith("/blobServices") and target.parent.lower() in self.objects:
            held = self.have(target.id)  # every account has one
        if held is None:
            group = re.match(r"/subscriptions/[^/]+/resourcegroups/([^/]+)", target.id, re.IGNORECASE)
            if group and group[0].lower() not in self.objects:
                raise Refused(404, "ResourceGroupNotFound", f"Resource group '{group[1]}' could not be found.")
            raise Refused(404, "ResourceNotFound", f"The Resource '{target.type}/{target.id.rpartition('/')[2]}' was not found.")
        return held

    def shown(self, held: Mapping[str, Any]) -> dict[str, Any]:
        from fakes.azure import services

        return services.shown(copy.deepcopy(dict(held)))

    def _precondition(self, held: Mapping[str, Any] | None, headers: Mapping[str, str]) -> None:
        wanted = headers.get("If-Match", "")
        if wanted and wanted != "*" and (held is None or held["etag"] != wanted):
            raise Refused(412, "PreconditionFailed", "The condition specified by If-Match is not met.")

    def _still(self, held: Mapping[str, Any] | None, target: Target) -> None:
        """Nothing is changed while it is still being changed."""
        if held is not None and held["properties"].get("provisioningState") in ("Creating", "Updating", "Deleting"):
            raise Refused(409, "AnotherOperationInProgress", f"Another operation on {target.id} is in progress.")

    # operations

    def _begin(
        self, request: Request, target: Target, status: int, effect: Callable[[], None], old: dict[str, Any] | None
    ) -> tuple[int, Any, dict[str, str]]:
        from fakes.azure import services

        held = self.objects[target.id.lower()]
        style = services.style(target.type)
        error = (self.failures.get(f"{request.http} {target.type}") or [None]).pop(0)
        if style == "sync" and error is None:
            effect()
            return status, self.shown(held), {"ETag": held["etag"]}
        held["properties"]["provisioningState"] = "Creating" if old is None else "Updating"

        def done() -> None:
            held["properties"]["provisioningState"] = "Succeeded"
            effect()

        operation = self._operation(done, error, lambda: held["properties"].update(provisioningState="Failed"), target.id)
        if style == "state":  # nothing but the object itself says how it goes on
            return status, self.shown(held), {"ETag": held["etag"]}
        if style == "location":
            return 202, None, {"Location": f"{operation}&result=1", "Retry-After": "0"}
        return status, self.shown(held), {"Azure-AsyncOperation": operation, "Retry-After": "0"}

    def _operation(self, effect: Callable[[], None], error: dict[str, Any] | None, broken: Callable[[], None], about: str) -> str:
        key = f"/subscriptions/{SUBSCRIPTION}/providers/mlinfra-test/operations/{next(self.counter)}"
        self.operations[key] = Operation(self.polls, effect, broken, error, about=about.lower())
        if self.polls == 0:
            self._look(self.operations[key])
        return f"{self.address}{key}?api-version=2020-01-01&t={uuid.uuid4()}"

    def _looked_at(self, request: Request) -> tuple[int, Any, dict[str, str]]:
        operation = self.operations.get(request.path)
        if operation is None:
            raise Refused(404, "OperationNotFound", request.path)
        if self.busy:
            self.busy -= 1
            self.throttled += 1
            raise Refused(429, "TooManyRequests", "The request is being throttled.", retry_after="0")
        self._look(operation)
        if operation.state == "InProgress":
            return (
                202,
                {"status": "InProgress", "percentComplete": 50},
                {"Retry-After": "0"},
            )
        if operation.state == "Failed":
            assert operation.error is not None
            if "result" in request.query:  # a Location answers as the request itself would have
                raise Refused(409, operation.error["code"], operation.error["message"])
            return 200, {"status": "Failed", "error": operation.error}, {}
        return 200, {"status": "Succeeded"}, {}

    def _look(self, operation: Operation) -> None:
        """One look."""
        if operation.state != "InProgress":
            return
        operation.left -= 1
        if operation.left <= 0:
            operation.state = "Succeeded" if operation.error is None else "Failed"
            (operation.effect if operation.error is None else operation.broken)()

    def _by_looks(self, id: str) -> None:
        """Operations go on by being looked at, or by looking at what they are about."""
        for operation in [o for o in self.operations.values() if o.about == id.lower() and o.state == "InProgress"]:
            self._look(operation)


def taken_apart(request: Request) -> Target:
    """The object, the collection or the action that an address names."""
    path = request.path.rstrip("/")
    scope, found, rest = path.rpartition("/providers/")
    if not found:
        steps = path.split("/")  # "", subscriptions, S, resourceGroups, G
        listing = len(steps) == 4
        return Target(path, "Microsoft.Resources/resourceGroups", "/".join(steps[:3]), listing)
    steps = rest.split("/")
    namespace, pairs = steps[0], steps[1:]
    action = ""
    if request.http == "POST" and len(pairs) % 2 == 1:
        action = pairs.pop()
        path = path.rpartition("/")[0]
    type = "/".join([namespace, *pairs[0::2]])
    proper = known(type)
    type = type if type in ALIASES else proper[0] if proper else type
    listing = len(pairs) % 2 == 1
    parent = scope if len(pairs) <= 2 else f"{scope}/providers/{namespace}/{'/'.join(pairs[: -1 if listing else -2])}"
    return Target(path, type, parent, listing, action)


def merge(old: Any, new: Any) -> Any:
    """RFC 7396; tags are replaced as a whole."""
    if not isinstance(new, dict) or not isinstance(old, dict):
        return new
    out = dict(old)
    for key, value in new.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = value if key == "tags" else merge(out.get(key), value)
    return out


@contextmanager
def azure(folder: Path) -> Iterator[Azure]:
    """A running server on a free port, with a certificate of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    state = Azure(folder)

    class Answers(Handler):
        def any(self) -> None:
            self.reply(*state.answer(self.command, self.path, self.headers, self.whole_body()))

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = any

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(state.certificate, state.key)
    with served(Answers, tls=context) as address:
        state.address = address
        yield state
