"""Vertex AI's methods that are no plain create, get, list, patch, delete; and Secret Manager's versions."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

from fakes.google.documents import Route
from fakes.google.generic import found, touch
from fakes.google.server import NUMBER, PROJECT, Google, Refused

_V = "GoogleCloudAiplatformV1"
_ALIAS = re.compile(r"[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]\Z")
Params = dict[str, str]


def _upload(g: Google, route: Route, params: Params, query: Params, body: Any) -> dict[str, Any]:
    parent = params["parent"]
    if "parentModel" in body:
        model = body["parentModel"].replace(f"/{NUMBER}/", f"/{PROJECT}/")
        if not _versions(g, model):
            raise Refused(404, "NOT_FOUND", f"The Model {model} does not exist.")
    else:
        model = f"{parent}/models/{body.get('modelId') or next(g.counter)}"
        if _versions(g, model):
            raise Refused(409, "ALREADY_EXISTS", f"A Model with id {model} already exists.")
    kept = g.keep("aiplatform", f"{_V}Model", body["model"])

    def effect() -> dict[str, Any]:
        have = _versions(g, model)
        if "parentModel" not in body and have:
            raise Refused(409, "ALREADY_EXISTS", f"A Model with id {model} already exists.")
        number = max([int(v["versionId"]) for v in have], default=0) + 1
        aliases = list(kept.get("versionAliases", ())) + ([] if have else ["default"])
        for version in have:
            version["versionAliases"] = [a for a in version["versionAliases"] if a not in aliases]
        version = {**kept, "name": model.replace(PROJECT, NUMBER), "versionId": str(number), "versionAliases": aliases}
        g.objects["aiplatform"][f"{model}@{number}"] = touch(g, "aiplatform", f"{_V}Model", version)
        return {"model": model.replace(PROJECT, NUMBER), "modelVersionId": str(number)}

    return g.told(g.begin(route, model, effect, model))


def _versions(g: Google, model: str) -> list[dict[str, Any]]:
    return [b for n, b in sorted(g.objects["aiplatform"].items()) if n.startswith(model + "@")]


def _version(g: Google, name: str) -> dict[str, Any]:
    model, _, which = name.partition("@")
    for version in _versions(g, model):
        if version["versionId"] == which or (which or "default") in version["versionAliases"]:
            return version
    raise Refused(404, "NOT_FOUND", f"The Model {name} does not exist.")


def _get_model(g: Google, route: Route, params: Params, query: Params, body: Any) -> dict[str, Any]:
    return _version(g, params["name"])


def _list_versions(g: Google, route: Route, params: Params, query: Params, body: Any) -> dict[str, Any]:
    if not _versions(g, params["name"]):
        raise Refused(404, "NOT_FOUND", f"The Model {params['name']} does not exist.")
    return {"models": _versions(g, params["name"])}


def _patch_model(g: Google, route: Route, params: Params, query: Params, body: Any) -> dict[str, Any]:
    held = _version(g, params["name"])
    if body.get("etag") and body["etag"] != held["etag"]:
        raise Refused(409, "ABORTED", "etag mismatch")
    for field in query["updateMask"].split(","):
        if field in ("artifactUri", "containerSpec", "metadata"):
            raise Refused(400, "INVALID_ARGUMENT", f"{field} is immutable")
        if field in body:
            held[field] = body[field]
        else:
            held.pop(field, None)
    return touch(g, "aiplatform", f"{_V}Model", held)


def _merge(g: Google, route: Route, params: Params, query: Params, body: Any) -> dict[str, Any]:
    held = _version(g, params["name"])
    for alias in body["versionAliases"]:
        plain = alias.removeprefix("-")
        if not _ALIAS.match(plain):
            raise Refused(400, "INVALID_ARGUMENT", f"alias {alias}")
        for version in _versions(g, params["name"].partition("@")[0]):
            if plain in version["versionAliases"]:
                version["versionAliases"].remove(plain)
        if not alias.startswith("-"):
            held["versionAliases"].append(plain)
    return touch(g, "aiplatform", f"{_V}Model", held)


def _deployed_from(g: Google, version: dict[str, Any]) -> bool:
    model = version["name"].replace(NUMBER, PROJECT)
    return any(
        d["model"].replace(NUMBER, PROJECT).partition("@")[0] == model and d["modelVersionId"] == version["versionId"]
        for e in g.objects["aiplatform"].values()
        for d in e.get("deployedModels", ())
        if "modelVersionId" in d
    )


def _delete_model(g: Google, route: Route, params: Params, query: Params, body: Any) -> dict[str, Any]:
    name = params["name"]
    versions = _versions(g, name.partition("@")[0])
    if not versions:
        raise Refused(404, "NOT_FOUND", f"The Model {name} does not exist.")
    if route.verb == "deleteVersion":
        mine = _version(g, name)
        if "default" in mine["versionAliases"]:
            raise Refused(400, "FAILED_PRECONDITION", "The default version cannot be deleted.")
        versions = [mine]
    if any(_deployed_from(g, v) for v in versions):
        raise Refused(400, "FAILED_PRECONDITION", f"The Model {name} is deployed.")

    def effect() -> dict[str, Any]:
        for version in versions:
            g.objects["aiplatform"].pop(f"{version['name'].replace(NUMBER, PROJECT)}@{version['versionId']}", None)
        return {}

    return g.told(g.begin(route, name, effect, name.partition("@")[0]))


def _deploy(g: Google, route: Route, params: Params, query: Params, body: Any) -> dict[str, Any]:
    endpoint = params["endpoint"]
    held = found(g, "aiplatform", endpoint)
    wanted = g.keep("aiplatform", f"{_V}DeployedModel", body["deployedModel"])
    model = wanted["model"].replace(NUMBER, PROJECT)
    version = _version(g, model)
    number = wanted.get("id") or str(next(g.counter))
    if not re.fullmatch(r"[0-9]{1,10}", number):
        raise Refused(400, "INVALID_ARGUMENT", f"DeployedModel.id {number}")
    if "dedicatedResources" not in wanted:
        raise Refused(400, "INVALID_ARGUMENT", "prediction resources are required")

    def effect() -> dict[str, Any]:
        if any(d["id"] == number for d in held.get("deployedModels", ())):
            raise Refused(409, "ALREADY_EXISTS", f"DeployedModel {number} already exists.")
        new = {
            **wanted,
            "id": number,
            "model": model.partition("@")[0].replace(PROJECT, NUMBER),
            "modelVersionId": version["versionId"],
        }
        held.setdefault("deployedModels", []).append(new)
        if body.get("trafficSplit"):
            held["trafficSplit"] = {number if k == "0" else k: v for k, v in body["trafficSplit"].items()}
        touch(g, "aiplatform", f"{_V}Endpoint", held)
        return {"deployedModel": copy.deepcopy(new)}

    return g.told(g.begin(route, endpoint, effect, endpoint, {"deployedModelId": number}))


def _undeploy(g: Google, route: Route, params: Params, query: Params, body: Any) -> dict[str, Any]:
    held = found(g, "aiplatform", params["endpoint"])
    number = body["deployedModelId"]
    if not any(d["id"] == number for d in held.get("deployedModels", ())):
        raise Refused(404, "NOT_FOUND", f"DeployedModel {number} does not exist.")
    split = body.get("trafficSplit") or held.get("trafficSplit") or {}
    if split.get(number) and len(held["deployedModels"]) > 1:
        raise Refused(400, "FAILED_PRECONDITION", f"DeployedModel {number} has traffic.")

    def effect() -> dict[str, Any]:
        held["deployedModels"] = [d for d in held["deployedModels"] if d["id"] != number]
        held["trafficSplit"] = {k: v for k, v in split.items() if k != number} if held["deployedModels"] else {}
        touch(g, "aiplatform", f"{_V}Endpoint", held)
        return {}

    return g.told(g.begin(route, params["endpoint"], effect, params["endpoint"]))


_MUTABLE = {
    "dedicatedResources.minReplicaCount", "dedicatedResources.maxReplicaCount", "dedicatedResources.requiredReplicaCount",
    "dedicatedResources.autoscalingMetricSpecs", "disableContainerLogging",
}  # fmt: skip


def _mutate(g: Google, route: Route, params: Params, query: Params, body: Any) -> dict[str, Any]:
    held = found(g, "aiplatform", params["endpoint"])
    mine = next((d for d in held.get("deployedModels", ()) if d["id"] == body["deployedModel"].get("id")), None)
    if mine is None:
        raise Refused(404, "NOT_FOUND", "no such DeployedModel")
    mask = body["updateMask"].split(",")
    if set(mask) - _MUTABLE:
        raise Refused(400, "INVALID_ARGUMENT", f"cannot be mutated: {set(mask) - _MUTABLE}")

    def effect() -> dict[str, Any]:
        for path in mask:
            *above, last = path.split(".")
            source, target = body["deployedModel"], mine
            for step in above:
                source, target = source.get(step, {}), target.setdefault(step, {})
            if last in source:
                target[last] = source[last]
            else:
                target.pop(last, None)
        return {"deployedModel": mine}

    return g.told(g.begin(route, params["endpoint"], effect, params["endpoint"]))


def _patch_endpoint(g: Google, route: Route, params: Params, query: Params, body: Any) -> dict[str, Any]:
    from fakes.google import generic

    held = found(g, "aiplatform", params["name"])
    if "trafficSplit" in query.get("updateMask", "").split(","):
        split = body.get("trafficSplit") or {}
        known = {d["id"] for d in held.get("deployedModels", ())}
        if set(split) - known or (split and sum(split.values()) != 100):
            raise Refused(400, "INVALID_ARGUMENT", f"traffic split {split} over {known}")
    return generic.handle(g, route, params, query, body)


def _cancel(g: Google, route: Route, params: Params, query: Params, body: Any) -> dict[str, Any]:
    job = found(g, "aiplatform", params["name"])
    kind, _, state = job["state"].rpartition("_STATE_")
    if state in ("QUEUED", "PENDING", "RUNNING"):
        job["state"] = f"{kind}_STATE_CANCELLING"
    return {}


def _pause(g: Google, route: Route, params: Params, query: Params, body: Any) -> dict[str, Any]:
    found(g, "aiplatform", params["name"])["state"] = "PAUSED" if route.verb == "pause" else "ACTIVE"
    return {}


def _add_version(g: Google, route: Route, params: Params, query: Params, body: Any) -> dict[str, Any]:
    secret = found(g, "secretmanager", params["parent"])
    secret.setdefault("_versions", []).append(body["payload"]["data"])
    return {"name": f"{params['parent']}/versions/{len(secret['_versions'])}", "state": "ENABLED"}


def _versions_of_secret(g: Google, route: Route, params: Params, query: Params, body: Any) -> dict[str, Any]:
    held = found(g, "secretmanager", params["parent"]).get("_versions", [])
    return {"versions": [{"name": f"{params['parent']}/versions/{n}", "state": "ENABLED"} for n, _ in enumerate(held, 1)]}


def _access(g: Google, route: Route, params: Params, query: Params, body: Any) -> dict[str, Any]:
    secret, _, number = params["name"].partition("/versions/")
    held = found(g, "secretmanager", secret).get("_versions", [])
    if not held:
        raise Refused(404, "NOT_FOUND", f"Secret Version [{params['name']}] not found.")
    return {"name": params["name"], "payload": {"data": held[-1 if number == "latest" else int(number) - 1]}}


_AT = "aiplatform.projects.locations"
HANDLERS: dict[str, Callable[..., dict[str, Any]]] = {
    f"{_AT}.models.upload": _upload,
    f"{_AT}.models.get": _get_model,
    f"{_AT}.models.patch": _patch_model,
    f"{_AT}.models.listVersions": _list_versions,
    f"{_AT}.models.mergeVersionAliases": _merge,
    f"{_AT}.models.delete": _delete_model,
    f"{_AT}.models.deleteVersion": _delete_model,
    f"{_AT}.endpoints.deployModel": _deploy,
    f"{_AT}.endpoints.undeployModel": _undeploy,
    f"{_AT}.endpoints.mutateDeployedModel": _mutate,
    f"{_AT}.endpoints.patch": _patch_endpoint,
    f"{_AT}.customJobs.cancel": _cancel,
    f"{_AT}.pipelineJobs.cancel": _cancel,
    f"{_AT}.schedules.pause": _pause,
    f"{_AT}.schedules.resume": _pause,
    "secretmanager.projects.secrets.addVersion": _add_version,
    "secretmanager.projects.secrets.versions.list": _versions_of_secret,
    "secretmanager.projects.secrets.versions.access": _access,
}
