"""The Cloud Control API for the tests, which moto has not: requests with tokens and states, over the types' published schemas.

It holds to the API's documentation: a client token makes a request idempotent, a create is checked against the type's schema, read-only
properties are AWS's to set, an update is a JSON patch that may not touch create-only properties, and every answer is a ProgressEvent.
"""

from __future__ import annotations

import importlib.resources
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import jsonpatch
from moto.core.exceptions import ServiceException

P = Mapping[str, Any]


@cache
def schema(name: str) -> Mapping[str, Any] | None:
    """The type's schema as AWS publishes it, from the cfn-lint wheel itself (not from the provider's condensed copy)."""
    root = importlib.resources.files("cfnlint") / "data" / "schemas"
    found = json.loads((root / "providers" / "us-east-1.json").read_text()).get(name)
    return None if found is None else json.loads((root / "resources" / f"{found}.json").read_text())


def top(paths: Any) -> list[str]:
    return [p.split("/")[2] for p in paths or () if p.count("/") == 2]


def event(c: Any, operation: str, type_name: str, token: str, **more: Any) -> dict[str, Any]:
    made = {
        "TypeName": type_name,
        "RequestToken": str(uuid.uuid4()),
        "Operation": operation,
        "OperationStatus": "IN_PROGRESS",
        "EventTime": datetime.now(UTC),
        "looks": c.steps,
        **more,
    }
    c.store("cc requests")[made["RequestToken"]] = made
    if token:
        c.store("cc tokens")[token] = made["RequestToken"]
    return made


def shown(e: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in e.items() if k not in ("looks", "then", "body")}


def settle(c: Any, e: dict[str, Any]) -> None:
    """One look further: when none is left, the request comes to its end."""
    if e["OperationStatus"] != "IN_PROGRESS":
        return
    if e["looks"] > 0:
        e["looks"] -= 1
        return
    try:
        e["then"](e)
        e["OperationStatus"] = "SUCCESS"
    except ServiceException as error:
        e.update(OperationStatus="FAILED", ErrorCode=error.code, StatusMessage=error.message)


def create(p: P, c: Any) -> P:
    token = p.get("ClientToken", "")
    earlier = c.store("cc tokens").get(token)
    if earlier:
        found = c.store("cc requests")[earlier]
        if found["body"] != p["DesiredState"]:
            raise ServiceException("ClientTokenConflictException", "The client token was used with another request.")
        settle(c, found)
        return {"ProgressEvent": shown(found)}
    type_name = p["TypeName"]
    if schema(type_name) is None:
        raise ServiceException("TypeNotFoundException", f"The type '{type_name}' cannot be found.")
    wanted = json.loads(p["DesiredState"])

    def then(e: dict[str, Any]) -> None:
        problem = invalid(type_name, wanted)
        if problem:
            raise ServiceException("InvalidRequest", f"Model validation failed ({problem})")
        properties = {**wanted, **given(c, type_name, wanted)}
        identifier = "|".join(str(properties[n]) for n in top(schema(type_name)["primaryIdentifier"]))  # type: ignore[index]
        if (type_name, identifier) in c.store("cc"):
            raise ServiceException(
                "AlreadyExists", f"Resource of type '{type_name}' with identifier '{identifier}' already exists."
            )
        c.store("cc")[type_name, identifier] = properties
        e["Identifier"] = identifier

    made = event(c, "CREATE", type_name, token, body=p["DesiredState"], then=then)
    settle(c, made)
    return {"ProgressEvent": shown(made)}


def invalid(type_name: str, wanted: Mapping[str, Any]) -> str:
    import jsonschema

    published = schema(type_name)
    assert published is not None
    for name in top(published.get("readOnlyProperties")):
        if name in wanted:
            return f"#: extraneous key [{name}] is not permitted"
    plain = readable(
        {k: v for k, v in published.items() if k in ("properties", "definitions", "required", "additionalProperties", "type")}
    )
    errors = list(jsonschema.Draft7Validator(plain).iter_errors(wanted))
    return f"#/{'/'.join(map(str, errors[0].path))}: {errors[0].message}" if errors else ""


def readable(node: Any) -> Any:
    """The schema without the patterns that only Java can read."""
    if isinstance(node, dict):
        return {k: readable(v) for k, v in node.items() if not (k == "pattern" and isinstance(v, str) and "\\p" in v)}
    return [readable(v) for v in node] if isinstance(node, list) else node


def given(c: Any, type_name: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What AWS adds: read-only properties, and a name where none was given."""
    published = schema(type_name)
    assert published is not None
    name = next((str(v) for k, v in wanted.items() if k.endswith("Name")), uuid.uuid4().hex[:12])
    made: dict[str, Any] = {}
    service, kind = type_name.split("::")[1:]
    for prop in top(published.get("readOnlyProperties")):
        arn = f"arn:aws:{service.lower()}:{c.region}:123456789012:{kind.lower()}/{name}"
        made[prop] = arn if prop.endswith("Arn") else f"https://{service.lower()}.{c.region}.amazonaws.com/123456789012/{name}"
    for prop in top(published["primaryIdentifier"]):
        if prop not in wanted and prop not in made:
            made[prop] = name
    return made


def get(p: P, c: Any) -> P:
    found = c.store("cc").get((p["TypeName"], p["Identifier"]))
    if found is None:
        raise ServiceException(
            "ResourceNotFoundException", f"Resource of type '{p['TypeName']}' with identifier '{p['Identifier']}' was not found."
        )
    hidden = top((schema(p["TypeName"]) or {}).get("writeOnlyProperties"))
    visible = {k: v for k, v in found.items() if k not in hidden}
    description = {"Identifier": p["Identifier"], "Properties": json.dumps(visible)}
    return {"TypeName": p["TypeName"], "ResourceDescription": description}


def update(p: P, c: Any) -> P:
    get(p, c)
    type_name, identifier = p["TypeName"], p["Identifier"]
    patch = json.loads(p["PatchDocument"])

    def then(e: dict[str, Any]) -> None:
        published = schema(type_name)
        assert published is not None
        fixed = {*top(published.get("createOnlyProperties")), *top(published.get("readOnlyProperties"))}
        for step in patch:
            if step["path"].split("/")[1] in fixed:
                raise ServiceException("NotUpdatable", f"createOnlyProperties [{step['path']}] cannot be updated")
        standing = c.store("cc")[type_name, identifier]
        try:
            after = jsonpatch.apply_patch(standing, patch)
        except jsonpatch.JsonPatchException as error:
            raise ServiceException("InvalidRequest", f"Invalid patch update: {error}") from None
        read_only = top(published.get("readOnlyProperties"))
        problem = invalid(type_name, {k: v for k, v in after.items() if k not in read_only})
        if problem:
            raise ServiceException("InvalidRequest", f"Model validation failed ({problem})")
        c.store("cc")[type_name, identifier] = after

    made = event(c, "UPDATE", type_name, p.get("ClientToken", ""), Identifier=identifier, body=p["PatchDocument"], then=then)
    settle(c, made)
    return {"ProgressEvent": shown(made)}


def delete(p: P, c: Any) -> P:
    get(p, c)

    def then(e: dict[str, Any]) -> None:
        c.store("cc").pop((p["TypeName"], p["Identifier"]), None)

    made = event(c, "DELETE", p["TypeName"], p.get("ClientToken", ""), Identifier=p["Identifier"], body="", then=then)
    settle(c, made)
    return {"ProgressEvent": shown(made)}


def status(p: P, c: Any) -> P:
    found = c.store("cc requests").get(p["RequestToken"])
    if found is None:
        raise ServiceException("RequestTokenNotFoundException", f"Request with token {p['RequestToken']} was not found")
    settle(c, found)
    return {"ProgressEvent": shown(found)}


def cancel(p: P, c: Any) -> P:
    found = c.store("cc requests")[p["RequestToken"]]
    if found["OperationStatus"] in ("PENDING", "IN_PROGRESS"):
        found["OperationStatus"] = "CANCEL_COMPLETE"
    return {"ProgressEvent": shown(found)}


def listed(p: P, c: Any) -> P:
    rows = [{"Identifier": i, "Properties": json.dumps({})} for t, i in c.store("cc") if t == p["TypeName"]]
    return {"TypeName": p["TypeName"], "ResourceDescriptions": rows}


def requests(p: P, c: Any) -> P:
    return {"ResourceRequestStatusSummaries": [shown(e) for e in c.store("cc requests").values()]}


ANSWERS = {
    "cloudcontrol:CreateResource": create,
    "cloudcontrol:GetResource": get,
    "cloudcontrol:UpdateResource": update,
    "cloudcontrol:DeleteResource": delete,
    "cloudcontrol:GetResourceRequestStatus": status,
    "cloudcontrol:CancelResourceRequest": cancel,
    "cloudcontrol:ListResources": listed,
    "cloudcontrol:ListResourceRequests": requests,
}
