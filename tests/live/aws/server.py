"""AWS for the tests: moto's server with its gaps filled, every request recorded and held against botocore's model.

``MotoAws`` is moto's own threaded server with one layer in front. The layer finds out which operation a request is (with moto's routers,
which are made from botocore's models), parses its parameters, checks them against the operation's shape, counts it, and hands it on to moto,
unless ``gaps`` has an answer of its own: then that is checked against the output shape and serialised as the model says.
"""

from __future__ import annotations

import io
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from unittest.mock import patch

import pytest

pytest.importorskip("moto.server", reason="moto is not installed: pip install 'moto[server]'")

from botocore.validate import ParamValidator
from live.aws.gaps import AFTER, ANSWERS, GUARDS, SWEEPS, Context
from live.servers.moto_aws import CREDENTIALS
from moto.core.exceptions import ServiceException
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.responses import BaseResponse
from moto.core.routing import get_service_router
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model
from moto.server import DomainDispatcherApplication, MotoRequestHandler, ThreadedMotoServer, create_backend_app
from werkzeug.serving import make_server

_SCOPE = re.compile(r"Credential=[^/]+/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
_BOTO = {
    "monitoring": "cloudwatch",
    "states": "stepfunctions",
    "tagging": "resourcegroupstaggingapi",
    "cloudcontrolapi": "cloudcontrol",
    "elasticloadbalancing": "elbv2",
}
"""Signing names that are no service names."""


@dataclass(frozen=True, slots=True)
class Call:
    service: str
    operation: str
    parameters: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.service}:{self.operation}"


@dataclass
class Recorded:
    """What was asked. ``invalid`` must stay empty. ``refuse`` makes the next calls of an operation fail."""

    url: str = ""
    calls: list[Call] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    refuse: dict[str, list[ServiceException | None]] = field(default_factory=dict)
    after: dict[str, Callable[[Mapping[str, Any]], None]] = field(default_factory=dict)
    context: Context = field(default_factory=Context)

    def counted(self) -> Counter[str]:
        return Counter(str(c) for c in self.calls)

    def forget(self) -> None:
        self.calls.clear()


class MotoAws(ThreadedMotoServer):
    """moto's server behind the layer."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(ip_address="127.0.0.1", port=port, verbose=False)
        self.recorded = Recorded()

    def _server_entry(self) -> None:
        app = self._layer = Layer(DomainDispatcherApplication(create_backend_app), self.recorded)
        self._server = make_server(self._ip_address, self._port, app, True, request_handler=_Quiet)
        self._server_ready_event.set()
        self._server.serve_forever()

    def begin(self, url: str) -> Recorded:
        """Record anew."""
        self.recorded = self._layer._recorded = Recorded(url=url)
        return self.recorded


class _Quiet(MotoRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        pass


class Layer:
    """The WSGI application."""

    def __init__(self, moto: Any, recorded: Recorded) -> None:
        self._moto = moto
        self._recorded = recorded
        self._guard = threading.RLock()

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
        if scope is None:
            return self._moto(environ, start)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length) if length else b""
        environ["wsgi.input"] = io.BytesIO(body)
        service = _BOTO.get(scope["service"], scope["service"])
        operation, parameters = understood(service, environ, body)
        environ["wsgi.input"] = io.BytesIO(body)
        told = [f"{service}:{operation.name}: {problem}" for problem in problems(operation, parameters)]
        name = f"{service}:{operation.name}"
        with self._guard:
            self._recorded.invalid += told
            self._recorded.calls.append(Call(service, operation.name, parameters))
            planned = self._recorded.refuse.get(name)
            refusal = planned.pop(0) if planned else None
        context = self._recorded.context.at(scope["region"])
        try:
            if refusal is not None:
                raise refusal
            with self._guard:
                for guard in (GUARDS.get(name),):
                    if guard is not None:
                        guard(parameters, context)
                answer = ANSWERS.get(name)
                if answer is not None:
                    result = answer(parameters, context)
                    return respond(service, operation, environ, start, result)
        except ServiceException as error:
            return respond(service, operation, environ, start, error)
        answered = self._moto(environ, start)
        done = AFTER.get(name)
        if done is not None:
            done(parameters, context)
        after = self._recorded.after.get(name)
        if after is not None:
            after(parameters)
        return answered


def understood(service: str, environ: dict[str, Any], body: bytes) -> tuple[Any, Mapping[str, Any]]:
    """The operation of a request and its parameters, by botocore's model."""
    request = Request(dict(environ))
    request.get_data(cache=True, parse_form_data=False)
    model = get_service_model(service)
    form = Request({**environ, "wsgi.input": io.BytesIO(body)})
    operation, uri = get_service_router(service).match(form)
    protocol = determine_request_protocol(model, form.content_type)
    parser = PROTOCOL_PARSERS[protocol](operation)
    parsed = parser.parse(
        {
            "method": form.method,
            "values": form.values,
            "headers": form.headers,
            "body": body,
            "url_path": form.path,
            "url_params": uri,
        }
    )
    return operation, parsed


def problems(operation: Any, parameters: Mapping[str, Any]) -> Iterator[str]:
    """What botocore's model says against the parameters: its own validator, and enums, lengths and patterns, which that leaves out."""
    shape = operation.input_shape
    if shape is None:
        return
    report = ParamValidator().validate(plain(parameters), shape)
    if report.has_errors():
        yield report.generate_report()
    yield from strict(shape, parameters, operation.name)


def plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def strict(shape: Any, value: Any, path: str) -> Iterator[str]:
    kind, rules = shape.type_name, shape.metadata
    if kind == "structure" and isinstance(value, Mapping):
        for name, item in value.items():
            if name in shape.members:
                yield from strict(shape.members[name], item, f"{path}.{name}")
            else:
                yield f"{path} has no {name}"
    elif kind == "list" and isinstance(value, list):
        if not rules.get("min", 0) <= len(value) <= rules.get("max", len(value)):
            yield f"{path} has {len(value)} items"
        for index, item in enumerate(value):
            yield from strict(shape.member, item, f"{path}[{index}]")
    elif kind == "map" and isinstance(value, Mapping):
        for key, item in value.items():
            yield from strict(shape.value, item, f"{path}.{key}")
    elif kind == "string" and isinstance(value, str):
        if shape.enum and value not in shape.enum:
            yield f"{path}: {value!r} is not in the enum"
        if not rules.get("min", 0) <= len(value) <= rules.get("max", len(value)):
            yield f"{path}: {value!r} has {len(value)} characters"
        pattern = readable(rules["pattern"]) if "pattern" in rules else None
        if pattern and not pattern.fullmatch(value):
            yield f"{path}: {value!r} does not match {rules['pattern']}"


@cache
def readable(pattern: str) -> re.Pattern[str] | None:
    """A Java pattern, where Python can read it as it is."""
    text = (
        re.sub(r"\\p\{(L|N|Alnum|IsL)\}", r"\\w", pattern)
        .replace(r"\p{Z}", r"\s")
        .replace(r"\p{S}", r"\W")
        .replace(r"\p{P}", r"\W")
    )
    if "\\p" in text or "\\u" in text or "[:" in text or "\\x{" in text:
        return None
    try:
        return re.compile(text, re.DOTALL)
    except re.error:
        return None


def respond(service: str, operation: Any, environ: dict[str, Any], start: Any, result: Any) -> Iterable[bytes]:
    """A result, or an error, in the form that the model gives an answer."""
    model = get_service_model(service)
    if isinstance(result, ServiceException):  # moto tells by the module of which service an error is
        kind = type("Refusal", (ServiceException,), {"__module__": f"moto.{service}.exceptions"})
        result = kind(result.code, result.message)
    if isinstance(result, Mapping) and operation.output_shape is not None:
        unknown = set(result) - set(operation.output_shape.members)
        assert not unknown, f"{operation.name} answers nothing called {unknown}"
    protocol = determine_request_protocol(model, environ.get("CONTENT_TYPE", ""))
    serializer = get_serializer_class(service, protocol)(operation_model=operation)
    answer = serializer.serialize(result)
    body = answer["body"]
    data = body.encode() if isinstance(body, str) else body or b""
    headers = {**answer["headers"], "Content-Length": str(len(data)), "x-amzn-requestid": "test-request"}
    start(f"{answer['status_code']} OK", [(str(k), str(v)) for k, v in headers.items()])
    return [data]


@cache
def _running() -> MotoAws:
    """One server a process: moto keeps one set of objects a process anyway, and its start is slow."""
    server = MotoAws()
    server.start()
    return server


@contextmanager
def moto_aws() -> Iterator[Recorded]:
    """A fresh AWS at ``.url``: what an earlier one held is forgotten."""
    from moto.moto_api._internal.models import moto_api_backend

    server = _running()
    with patched_environment(), SWEEPS():
        moto_api_backend.reset()
        host, port = server.get_host_and_port()
        recorded = server.begin(f"http://{host}:{port}")
        yield recorded


@contextmanager
def shared_clients() -> Iterator[None]:
    """boto3's clients are slow to make: one of each for all tests of a process that run in it."""
    from mlinfra_aws.client import Aws
    from mlinfra_aws.sessions import address_of

    whole = Aws._client

    def shared(self: Aws, service: str) -> Any:
        key = (service, self.region, address_of(service, self.config), self.config.retry_mode)
        if key not in _CLIENTS:
            _CLIENTS[key] = whole(self, service)
            self._clients.clear()  # so that closing this connection leaves it open
        return _CLIENTS[key]

    with patch.object(Aws, "_client", shared):
        yield


_CLIENTS: dict[Any, Any] = {}


@contextmanager
def patched_environment() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in CREDENTIALS}
    os.environ.update(CREDENTIALS)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


__all__ = ["BaseResponse", "Call", "MotoAws", "Recorded", "moto_aws"]
