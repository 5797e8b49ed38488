"""Compute Engine: names in bodies, operations of zones and of the project, fingerprints, requestIds, links in full."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fakes.google.documents import Route
from fakes.google.generic import found, schema_of
from fakes.google.server import PROJECT, Google, Operation, Refused

ROOT = "https://www.googleapis.com/compute/v1"
HANDLERS: dict[str, Callable[..., dict[str, Any]]] = {}


def handle(g: Google, route: Route, params: dict[str, str], query: dict[str, str], body: Any) -> dict[str, Any]:
    folder = route.collection
    place = f"zones/{params['zone']}" if "zone" in params else "global"
    parent = f"projects/{PROJECT}/{place}"
    if folder.endswith("Operations"):
        return _operations(g, route, params, parent)
    own = next((v for k, v in params.items() if k not in ("project", "zone")), "")
    name = f"{parent}/{folder}/{own}"
    held = g.objects["compute"]
    if "requestId" in query and query["requestId"] in g.sent:
        return _told(g, g.operations[g.sent[query["requestId"]]])
    if route.verb == "insert":
        name = f"{parent}/{folder}/{body['name']}"
        if name in held:
            raise Refused(409, "", f"The resource '{name}' already exists", reason="alreadyExists")
        born = _born(g, folder, name, parent, _full(g.keep("compute", schema_of(route), body)))
        return _begin(g, route, name, parent, query, lambda: held.setdefault(name, born))
    if route.verb == "list":
        return {"items": [b for n, b in sorted(held.items()) if n.startswith(f"{parent}/{folder}/")]}
    have = found(g, "compute", name)
    if route.verb == "get":
        return have
    if route.verb == "delete":
        if folder == "networks" and any(n for n, b in held.items() if str(b.get("network", "")).endswith(name)):
            raise Refused(
                400, "", f"The network resource '{name}' is already being used", reason="resourceInUseByAnotherResource"
            )
        return _begin(g, route, name, parent, query, lambda: held.pop(name, {}))
    return _begin(g, route, name, parent, query, _change(g, route, have, body))


def _change(g: Google, route: Route, have: dict[str, Any], body: Any) -> Callable[[], dict[str, Any]]:
    def mark(key: str, given: Any) -> None:
        if given != key:
            raise Refused(412, "", "Labels fingerprint either invalid or resource labels have changed", reason="conditionNotMet")

    new = _full(g.keep("compute", route.request, body))
    if route.verb == "setLabels":
        mark(have["labelFingerprint"], body.get("labelFingerprint"))
        change = {"labels": body["labels"], "labelFingerprint": f"fp{next(g.counter)}="}
    elif route.verb in ("setMetadata", "setTags"):
        field = "metadata" if route.verb == "setMetadata" else "tags"
        mark(have[field]["fingerprint"], body.get("fingerprint"))
        change = {field: {**new, "fingerprint": f"fp{next(g.counter)}="}}
    elif route.verb == "resize":
        if int(body["sizeGb"]) <= int(have["sizeGb"]):
            raise Refused(400, "", "Requested disk size cannot be smaller than the current size", reason="invalid")
        change = {"sizeGb": str(body["sizeGb"])}
    elif route.verb == "patch":
        if "fingerprint" in have:
            mark(have["fingerprint"], body.get("fingerprint"))
        change = {k: v for k, v in new.items() if k != "fingerprint"}
        change.update({k: None for k, v in body.items() if v is None})
        if "fingerprint" in have:
            change["fingerprint"] = f"fp{next(g.counter)}="
    else:
        raise Refused(501, "", f"the tests' Google does not offer {route.name}")

    def effect() -> dict[str, Any]:
        for key, value in change.items():
            if value is None:
                have.pop(key, None)
            else:
                have[key] = value
        return have

    return effect


def _born(g: Google, folder: str, name: str, parent: str, body: dict[str, Any]) -> dict[str, Any]:
    body.update(
        id=str(next(g.counter)),
        selfLink=f"{ROOT}/{name}",
        creationTimestamp="2026-11-25T02:00:00-08:00",
        kind=f"compute#{folder[:-1]}",
    )
    if parent.endswith("global"):
        pass
    else:
        body["zone"] = f"{ROOT}/{parent}"
    if folder in ("disks", "instances"):
        body["labelFingerprint"] = f"fp{next(g.counter)}="
    if folder == "disks":
        body.update(status="READY", sizeGb=str(body.get("sizeGb") or 10))
        body.setdefault("type", f"{ROOT}/{parent}/diskTypes/pd-standard")
    if folder == "instances":
        body["status"] = "RUNNING"
        body["metadata"] = {"kind": "compute#metadata", **body.get("metadata", {}), "fingerprint": f"fp{next(g.counter)}="}
        body["tags"] = {**body.get("tags", {}), "fingerprint": f"fp{next(g.counter)}="}
        addresses = g.instance_started(body)
        for interface in body.get("networkInterfaces", ()):
            interface["networkIP"] = addresses.get("networkIP", "10.128.0.2")
            interface["name"] = "nic0"
            for access in interface.get("accessConfigs", ()):
                access["natIP"] = addresses.get("natIP", "203.0.113.7")
        for index, disk in enumerate(body.get("disks", ())):
            disk.update(index=index, kind="compute#attachedDisk")
            disk.pop("initializeParams", None)
    if folder == "instanceGroupManagers":
        body.update(instanceGroup=f"{ROOT}/{parent}/instanceGroups/{body['name']}", status={"isStable": True})
    if folder in ("instanceGroupManagers",):
        body["fingerprint"] = f"fp{next(g.counter)}="
    if folder == "firewalls":
        body.setdefault("direction", "INGRESS")
        body.setdefault("priority", 1000)
    return body


def _full(value: Any) -> Any:
    """Links as the server answers with them."""
    if isinstance(value, dict):
        return {k: _full(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_full(v) for v in value]
    if isinstance(value, str) and value.startswith(("zones/", "global/")):
        return f"{ROOT}/projects/{PROJECT}/{value}"
    if isinstance(value, str) and value.startswith("projects/") and value.count("/") >= 3:
        return f"{ROOT}/{value}"
    return value


def _begin(
    g: Google, route: Route, name: str, parent: str, query: dict[str, str], effect: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    about = {"targetLink": f"{ROOT}/{name}", "operationType": route.verb, "clientOperationId": query.get("requestId", "")}
    operation = g.begin(route, name, effect, parent, about)
    if query.get("requestId"):
        g.sent[query["requestId"]] = f"compute/{operation.name}"
    return _told(g, operation)


def _told(g: Google, operation: Operation) -> dict[str, Any]:
    place, _, number = operation.name.rpartition("/operations/")
    out: dict[str, Any] = {
        "kind": "compute#operation", "name": number, "selfLink": f"{ROOT}/{operation.name}", "id": number,
        "status": "DONE" if operation.done else "RUNNING", "progress": 100 if operation.done else 50,
        **{k: v for k, v in operation.about.items() if k != "target"},
    }  # fmt: skip
    if "/zones/" in place:
        out["zone"] = f"{ROOT}/{place}"
    if operation.done and operation.error is not None:
        out["error"] = (
            operation.error if "errors" in operation.error else {"errors": [{"code": "INTERNAL_ERROR", **operation.error}]}
        )
    return out


def _operations(g: Google, route: Route, params: dict[str, str], parent: str) -> dict[str, Any]:
    if route.verb == "list":
        prefix = f"compute/{parent}/operations/"
        return {"items": [_told(g, o) for key, o in g.operations.items() if key.startswith(prefix)]}
    operation = g.operations.get(f"compute/{parent}/operations/{params['operation']}")
    if operation is None:
        raise Refused(404, "", f"The resource '{params['operation']}' was not found", reason="notFound")
    g.look(operation)
    return _told(g, operation)
