"""The whole discovery documents: which request is which method, and what its body may hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

VERSIONS = {
    "storage": "v1", "iam": "v1", "cloudresourcemanager": "v3", "artifactregistry": "v1", "compute": "v1", "tpu": "v2",
    "aiplatform": "v1", "run": "v2", "cloudscheduler": "v1", "monitoring": "v3", "secretmanager": "v1",
}  # fmt: skip


@dataclass(frozen=True)
class Route:
    """One method: ``pattern`` matches the whole path below the service's address."""

    service: str
    name: str
    http: str
    pattern: re.Pattern[str]
    params: Mapping[str, Mapping[str, Any]]
    request: str
    response: str

    @property
    def collection(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def verb(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def long(self) -> bool:
        return self.response.endswith("Operation")


@cache
def document(service: str) -> dict[str, Any]:
    import googleapiclient

    folder = Path(str(googleapiclient.__file__)).parent / "discovery_cache" / "documents"
    tree: dict[str, Any] = json.loads((folder / f"{service}.{VERSIONS[service]}.json").read_text())
    return tree


@cache
def routes(service: str) -> tuple[Route, ...]:
    doc = document(service)
    return tuple(sorted(_routes(service, doc, doc["servicePath"]), key=lambda r: -len(r.pattern.pattern)))


def _routes(service: str, node: Mapping[str, Any], prefix: str, name: str = "") -> Iterator[Route]:
    for key, resource in node.get("resources", {}).items():
        for verb, method in resource.get("methods", {}).items():
            params = method.get("parameters", {})
            yield Route(
                service, f"{name}{key}.{verb}", method["httpMethod"], re.compile(_pattern(prefix + method["path"], params)), params,
                method.get("request", {}).get("$ref", ""), method.get("response", {}).get("$ref", ""),
            )  # fmt: skip
        yield from _routes(service, resource, prefix, f"{name}{key}.")


def _pattern(path: str, params: Mapping[str, Any]) -> str:
    out, at = "", 0
    for found in re.finditer(r"\{(\+?)([^}]+)\}", path):
        out += re.escape(path[at : found.start()])
        own = params.get(found[2], {}).get("pattern", "")
        body = own.removeprefix("^").removesuffix("$") if found[1] and own else "[^/]+" if not found[1] else ".+"
        out += f"(?P<{found[2]}>{body})"
        at = found.end()
    return "/" + out + re.escape(path[at:]) + r"\Z"


def match(service: str, http: str, path: str) -> tuple[Route, dict[str, str]] | None:
    for route in routes(service):
        if route.http == http:
            found = route.pattern.match(path)
            if found:
                return route, found.groupdict()
    return None


def complaints(service: str, schema: str, body: Any, method: str, at: str = "") -> Iterator[str]:
    """What the document does not allow in a body."""
    if not isinstance(body, dict):
        yield f"{at or 'body'}: not an object"
        return
    properties = document(service)["schemas"][schema].get("properties", {})
    for key, value in body.items():
        prop = properties.get(key)
        if prop is None:
            if "additionalProperties" not in document(service)["schemas"][schema]:
                yield f"{at}{key}: Unknown name: Cannot find field."
        elif read_only(prop):
            yield f"{at}{key}: output only"
        elif value is not None:
            yield from _value(service, prop, value, method, f"{at}{key}")
    for key, prop in properties.items():
        needed = prop.get("annotations", {}).get("required", [])
        plainly = re.match(r"\s*Required\.", prop.get("description", "")) and not method.endswith(
            (".patch", ".mutateDeployedModel", ".merge")
        )
        if (method in needed or plainly) and body.get(key) is None:
            yield f"{at}{key}: required and missing"


def read_only(prop: Mapping[str, Any]) -> bool:
    return bool(prop.get("readOnly")) or bool(
        re.match(r"\s*(Optional\. )?\[?Output[ -]only", prop.get("description", ""), re.IGNORECASE)
    )


def _value(service: str, prop: Mapping[str, Any], value: Any, method: str, at: str) -> Iterator[str]:
    if "$ref" in prop:
        yield from complaints(service, prop["$ref"], value, method, f"{at}.")
        return
    kind, format_ = prop.get("type", "any"), prop.get("format", "")
    if kind == "array":
        if not isinstance(value, list):
            yield f"{at}: not a list"
            return
        for index, item in enumerate(value):
            yield from _value(service, prop["items"], item, method, f"{at}[{index}]")
    elif kind == "object":
        if not isinstance(value, dict):
            yield f"{at}: not an object"
        elif "additionalProperties" in prop:
            for key, item in value.items():
                yield from _value(service, prop["additionalProperties"], item, method, f"{at}.{key}")
        elif "properties" in prop:
            for key, item in value.items():
                if key not in prop["properties"]:
                    yield f"{at}.{key}: Unknown name: Cannot find field."
                elif not read_only(prop["properties"][key]):
                    yield from _value(service, prop["properties"][key], item, method, f"{at}.{key}")
    elif kind == "string":
        if format_ in ("int64", "uint64"):
            if not (isinstance(value, int) or (isinstance(value, str) and re.fullmatch(r"-?\d+", value))):
                yield f"{at}: not an int64: {value!r}"
        elif not isinstance(value, str):
            yield f"{at}: not a string: {value!r}"
        elif prop.get("enum") and value not in prop["enum"]:
            yield f"{at}: Invalid value: {value!r}"
    elif kind == "integer" and not (isinstance(value, int) and not isinstance(value, bool)):
        yield f"{at}: not an integer: {value!r}"
    elif kind == "number" and not isinstance(value, (int, float)):
        yield f"{at}: not a number: {value!r}"
    elif kind == "boolean" and not isinstance(value, bool):
        yield f"{at}: not a boolean: {value!r}"


def stored(service: str, schema: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The body as the server keeps it: int64 as text, links in full, nothing that is empty."""
    properties = document(service)["schemas"][schema].get("properties", {})
    return {k: w for k, v in body.items() if (w := _stored(service, properties.get(k, {}), v)) not in (None, [], "") or v == ""}


def _stored(service: str, prop: Mapping[str, Any], value: Any) -> Any:
    if "$ref" in prop and isinstance(value, dict):
        return stored(service, prop["$ref"], value)
    if prop.get("type") == "array" and isinstance(value, list):
        return [_stored(service, prop["items"], v) for v in value]
    if prop.get("format") in ("int64", "uint64") and isinstance(value, int):
        return str(value)
    if (
        service in ("aiplatform", "run", "artifactregistry")
        and value in (False, 0)
        and prop.get("type") in ("boolean", "integer")
    ):
        return None
    return value
