"""Writes providers/mlinfra_gcp/discovery/*.json from the discovery documents that google-api-python-client carries.

    python scripts/condense_google_discovery.py            # the installed package
    python scripts/condense_google_discovery.py FOLDER     # a folder of documents

Kept: the methods named below, every schema that they reach, and of each property its type, enum, and whether the document
calls it required, output only or immutable. Descriptions are dropped, but for the sentence that says "Immutable".
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

OUT = Path(__file__).parents[1] / "providers" / "mlinfra_gcp" / "discovery"

_CRUD = ("create", "get", "list", "patch", "delete")
_COMPUTE = ("insert", "get", "list", "patch", "delete")


def _of(prefix: str, *methods: str) -> tuple[str, ...]:
    return tuple(f"{prefix}.{method}" for method in methods)


_VERTEX = "projects.locations"
METHODS: dict[str, tuple[str, ...]] = {
    "storage.v1": (
        *_of("buckets", *_COMPUTE), *_of("objects", "insert", "get", "list", "delete", "copy", "rewrite"),
    ),
    "iam.v1": _of("projects.serviceAccounts", *_CRUD),
    "cloudresourcemanager.v3": _of("projects", "get", "getIamPolicy", "setIamPolicy", "testIamPermissions"),
    "artifactregistry.v1": (
        *_of("projects.locations.repositories", *_CRUD),
        *_of("projects.locations.repositories.packages", "tags.list", "tags.delete", "versions.delete"),
        "projects.locations.operations.get",
    ),
    "compute.v1": (
        *_of("disks", "insert", "get", "list", "delete", "resize", "setLabels"),
        *_of("instances", "insert", "get", "list", "delete", "setLabels", "setMetadata", "setTags", "getSerialPortOutput"),
        *_of("instanceTemplates", "insert", "get", "list", "delete"),
        *_of("instanceGroupManagers", *_COMPUTE),
        *_of("firewalls", *_COMPUTE),
        *_of("networks", *_COMPUTE),
        *_of("zoneOperations", "get", "list"),
        *_of("globalOperations", "get", "list"),
    ),
    "tpu.v2": (
        *_of("projects.locations.queuedResources", "create", "get", "list", "delete"),
        *_of("projects.locations.operations", "get", "list"),
    ),
    "aiplatform.v1": (
        *_of(f"{_VERTEX}.endpoints", *_CRUD, "deployModel", "undeployModel", "mutateDeployedModel"),
        *_of(f"{_VERTEX}.models", "upload", "get", "list", "patch", "delete", "deleteVersion", "listVersions", "mergeVersionAliases"),
        *_of(f"{_VERTEX}.customJobs", "create", "get", "list", "delete", "cancel"),
        *_of(f"{_VERTEX}.schedules", *_CRUD, "pause", "resume"),
        *_of(f"{_VERTEX}.pipelineJobs", "create", "get", "list", "delete", "cancel"),
        *_of(f"{_VERTEX}.persistentResources", *_CRUD),
        *_of(f"{_VERTEX}.endpoints.operations", "get", "list"),
        *_of(f"{_VERTEX}.models.operations", "get", "list"),
        *_of(f"{_VERTEX}.operations", "get", "list"),
    ),
    "run.v2": (*_of("projects.locations.services", *_CRUD), *_of("projects.locations.operations", "get", "list")),
    "cloudscheduler.v1": _of("projects.locations.jobs", *_CRUD, "pause", "resume"),
    "monitoring.v3": _of("projects.alertPolicies", *_CRUD),
    "secretmanager.v1": (*_of("projects.secrets", *_CRUD, "addVersion"), *_of("projects.secrets.versions", "get", "list", "access")),
}  # fmt: skip

_SENTENCE = re.compile(
    r"[^.]*\bImmutable\b[^.]*\.(?:[^.]*\.)?|[^.]*\bcannot be (?:changed|updated|modified)[^.]*\.", re.IGNORECASE
)


def main() -> None:
    folder, source = _documents()
    OUT.mkdir(parents=True, exist_ok=True)
    for name, wanted in METHODS.items():
        document = json.loads((folder / f"{name}.json").read_text())
        text = json.dumps(condense(document, wanted, f"{source}: {name}.json"), separators=(",", ":"), sort_keys=True)
        # one schema a line, so that a new revision shows as a readable diff
        text = re.sub(r'(?<=[{},])("[A-Za-z0-9.]+":\{"(?:http|props)")', r"\n\1", text)
        file = OUT / f"{name}.json"
        file.write_text(text + "\n")
        print(f"{file.name}: {len(text):,} bytes, revision {document['revision']}")


def condense(document: dict[str, Any], wanted: tuple[str, ...], source: str) -> dict[str, Any]:
    """One document cut down to the methods that are ``wanted``. KeyError when one of them is not there any more."""
    every = dict(_methods(document))
    methods = {name: _method(every[name], document) for name in wanted}
    schemas: dict[str, Any] = {}
    front = [m[part] for m in methods.values() for part in ("request", "response") if m.get(part)]
    while front:
        name = front.pop()
        if name not in schemas:
            schemas[name] = _schema(document["schemas"][name])
            front.extend(_refs(schemas[name]))
    return {
        "source": source,
        "revision": document["revision"],
        "root": document["rootUrl"],
        "prefix": document["servicePath"],
        "service": document["name"],
        "version": document["version"],
        "methods": methods,
        "schemas": schemas,
    }


def _documents() -> tuple[Path, str]:
    if len(sys.argv) > 1:
        folder = Path(sys.argv[1])
        return folder, folder.name
    try:
        import googleapiclient
    except ImportError:
        sys.exit("google-api-python-client is not installed: pip install --group dev")
    try:
        number = version("google-api-python-client")
    except PackageNotFoundError:
        number = "unknown"
    folder = Path(str(googleapiclient.__file__)).parent / "discovery_cache" / "documents"
    return folder, f"google-api-python-client {number}"


def _methods(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, resource in node.get("resources", {}).items():
        for method, found in resource.get("methods", {}).items():
            yield f"{prefix}{name}.{method}", found
        yield from _methods(resource, f"{prefix}{name}.")


def _method(method: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    parameters = {**method.get("parameters", {})}
    out: dict[str, Any] = {"http": method["httpMethod"], "path": method["path"]}
    out["params"] = {
        name: _given(
            {
                "in": p["location"],
                "type": p.get("type", "string"),
                "required": p.get("required"),
                "pattern": p.get("pattern"),
                "enum": p.get("enum"),
                "repeated": p.get("repeated"),
                "format": p.get("format"),
            }
        )
        for name, p in sorted(parameters.items())
    }
    for part in ("request", "response"):
        if part in method:
            out[part] = method[part]["$ref"]
    if method.get("supportsMediaUpload"):
        out["upload"] = True
    return out


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    return {"props": {name: _property(p) for name, p in schema.get("properties", {}).items()}}


def _property(p: dict[str, Any]) -> dict[str, Any]:
    text = p.get("description", "")
    annotated = p.get("annotations", {}).get("required", [])
    output_only = p.get("readOnly") or re.match(r"\s*(?:Optional\. )?(?:\[?Output[ -]?only)", text, re.IGNORECASE)
    return _given(
        {
            "type": None if "$ref" in p else p.get("type", "any"),
            "ref": p.get("$ref"),
            "items": _property(p["items"]) if "items" in p else None,
            "map": _property(p["additionalProperties"]) if "additionalProperties" in p else None,
            "props": {n: _property(c) for n, c in p["properties"].items()} if "properties" in p else None,
            "enum": p.get("enum"),
            "format": p.get("format"),
            "pattern": p.get("pattern"),
            "output": bool(output_only) or None,
            "input": bool(re.match(r"\s*(?:Optional\. )?\[?Input[ -]only", text, re.IGNORECASE)) or None,
            "required": annotated or bool(re.match(r"\s*Required\.", text)) or None,
            "immutable": _immutable(text) if not output_only else None,
        }
    )


def _immutable(text: str) -> str | None:
    """The sentence of the description that says so."""
    if not re.search(r"(?:\A|\s)Immutable\.|\bThis field is immutable\b|\bcannot be (?:changed|updated) after\b", text):
        return None
    found = _SENTENCE.search(" ".join(text.split()))
    return found[0].strip()[:160] if found else "Immutable."


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, [], {})}


def _refs(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("ref"), str):
            yield node["ref"]
        for child in node.values():
            yield from _refs(child)
    elif isinstance(node, list):
        for child in node:
            yield from _refs(child)


if __name__ == "__main__":
    main()
