"""create, get, list, patch, delete as https://google.aip.dev/130 describes them, for every collection that has no rules of its own."""

from __future__ import annotations

import re
import threading
from typing import Any

from fakes.google.documents import VERSIONS, Route, document, routes
from fakes.google.server import _ITEMS, NUMBER, PROJECT, Google, Refused

_LONG = ("Operation", "GoogleLongrunningOperation")


def handle(g: Google, route: Route, params: dict[str, str], query: dict[str, str], body: Any) -> dict[str, Any]:
    if route.collection.endswith("operations"):
        return _operation(g, route, params)
    if route.service == "cloudresourcemanager":
        return _policy(g, route, body)
    act = {"create": _create, "get": _get, "list": _list, "patch": _patch, "delete": _delete}.get(route.verb)
    if act is None:
        raise Refused(501, "UNIMPLEMENTED", f"the tests' Google does not offer {route.name}")
    return act(g, route, params, query, body)


def schema_of(route: Route) -> str:
    """The resource's schema: what the collection's get answers with."""
    return next(r.response for r in routes(route.service) if r.name == f"{route.collection}.get")


def found(g: Google, service: str, name: str) -> dict[str, Any]:
    body = g.objects[service].get(name)
    if body is None:
        raise Refused(404, "NOT_FOUND", f"Resource '{name}' was not found")
    return body


def touch(g: Google, service: str, schema: str, body: dict[str, Any]) -> dict[str, Any]:
    if "etag" in document(service)["schemas"][schema]["properties"]:
        body["etag"] = f"AMEw9y{next(g.counter)}"
    return body


def _create(g: Google, route: Route, params: dict[str, str], query: dict[str, str], body: Any) -> dict[str, Any]:
    parent = params.get("parent") or params.get("name") or ""
    folder = route.collection.rpartition(".")[2]
    schema = schema_of(route)
    chosen = [v for k, v in query.items() if k.endswith("Id") and k != "requestId"]
    if route.service == "iam":
        account = f"{body['accountId']}@{PROJECT}.iam.gserviceaccount.com"
        body = {**body.get("serviceAccount", {}), "email": account, "uniqueId": str(next(g.counter)), "projectId": PROJECT}
        chosen = [account]
    elif body.get("name"):
        if not re.fullmatch(rf"{re.escape(parent)}/{folder}/[^/]+", body["name"]):
            raise Refused(400, "INVALID_ARGUMENT", f"name {body['name']} does not lie in {parent}")
        chosen = [body["name"].rpartition("/")[2]]
    name = f"{parent}/{folder}/{chosen[0] if chosen else next(g.counter)}"
    if name in g.objects[route.service]:
        raise Refused(409, "ALREADY_EXISTS", f"Resource '{name}' already exists.")
    kept = g.keep(route.service, schema, body)
    # where Google chooses the name it writes the project's number
    kept["name"] = (
        name if chosen and route.service != "secretmanager" else name.replace(f"projects/{PROJECT}/", f"projects/{NUMBER}/")
    )
    kept.update(_born(route))

    def effect() -> dict[str, Any]:
        g.objects[route.service][name] = touch(g, route.service, schema, kept)
        return g.objects[route.service][name]

    if query.get("validateOnly") == "true":
        return _validated(g, parent, kept)
    if not route.long:
        return effect()
    at = name if route.service == "aiplatform" else parent
    return g.told(g.begin(route, name, effect, at))


def _validated(g: Google, parent: str, body: dict[str, Any]) -> dict[str, Any]:
    """What a validated request answers: an operation that is done, and nothing is kept, not even that."""
    name = f"{parent}/operations/{next(g.counter)}"
    return {"name": name, "done": True, "response": body}


def _born(route: Route) -> dict[str, Any]:
    folder = route.collection.rpartition(".")[2]
    now = {"createTime": "2026-11-25T10:00:00Z"}
    if folder in ("customJobs", "pipelineJobs"):
        kind = "JOB_STATE" if folder == "customJobs" else "PIPELINE_STATE"
        return {**now, "state": f"{kind}_{'QUEUED' if folder == 'customJobs' else 'PENDING'}"}
    if folder == "schedules":
        return {**now, "state": "ACTIVE", "nextRunTime": "2026-11-26T03:00:00Z", "maxConcurrentRunCount": "1"}
    if folder == "persistentResources":
        return {**now, "state": "RUNNING"}
    if folder == "queuedResources":
        return {**now, "state": {"state": "ACCEPTED"}}
    if folder == "services":
        return {
            **now,
            "uri": "https://x-uc.a.run.app",
            "generation": "1",
            "terminalCondition": {"type": "Ready", "state": "CONDITION_SUCCEEDED"},
        }
    if folder == "endpoints":
        return {**now, "dedicatedEndpointDns": f"1.us-central1-{NUMBER}.prediction.vertexai.goog"}
    return {} if route.service in ("monitoring", "iam", "cloudscheduler") else now


def _get(g: Google, route: Route, params: dict[str, str], query: dict[str, str], body: Any) -> dict[str, Any]:
    name = params["name"]
    held = found(g, route.service, name)
    if name.split("/")[-2] in ("customJobs", "pipelineJobs"):
        _advance(g, held)
    if name.split("/")[-2] == "queuedResources" and held["state"]["state"] == "ACCEPTED":
        held["state"] = {"state": "WAITING_FOR_RESOURCES"}
    return held


def _advance(g: Google, job: dict[str, Any]) -> None:
    """Jobs go on by being looked at."""
    kind, _, state = str(job["state"]).rpartition("_STATE_")
    following = {"QUEUED": "RUNNING", "PENDING": "RUNNING", "CANCELLING": "CANCELLED"}.get(state)
    if following:
        job["state"] = f"{kind}_STATE_{following}"
    if following == "RUNNING":
        threading.Thread(target=_run, args=(g, job, kind), daemon=True).start()


def _run(g: Google, job: dict[str, Any], kind: str) -> None:
    """Run the job while the server goes on answering."""
    state, error = g.runner(g, dict(job))
    with g.guard:
        if job["state"] == f"{kind}_STATE_RUNNING":
            if error is not None:
                job["error"] = error
            job["state"] = f"{kind}_STATE_{state}"


def _list(g: Google, route: Route, params: dict[str, str], query: dict[str, str], body: Any) -> dict[str, Any]:
    parent, folder = params.get("parent") or params["name"], route.collection.rpartition(".")[2]
    every = [
        (name, held)
        for name, held in sorted(g.objects[route.service].items())
        if re.fullmatch(rf"{re.escape(parent)}/{folder}/[^/]+", name)
    ]
    wanted = query.get("filter", "")
    tagged = re.fullmatch(r'version="([^"]+)"', wanted) if folder == "tags" else None
    if tagged is not None:
        every = [(n, h) for n, h in every if h["version"] == tagged[1]]
    elif wanted:
        test = re.fullmatch(r'(?:labels|user_labels)\.([a-z-]+)=\"?([^"]+)\"?', wanted)
        if test is None:
            raise Refused(400, "INVALID_ARGUMENT", f"filter {wanted}")
        every = [(n, h) for n, h in every if (h.get("labels") or h.get("userLabels") or {}).get(test[1]) == test[2]]
    start = int(query.get("pageToken") or 0)
    page = [held for _, held in every[start : start + 2]]
    answer: dict[str, Any] = {_ITEMS.get(folder, folder): page}
    if start + 2 < len(every):
        answer["nextPageToken"] = str(start + 2)
    return answer


def _patch(g: Google, route: Route, params: dict[str, str], query: dict[str, str], body: Any) -> dict[str, Any]:
    held = found(g, route.service, params["name"])
    if route.service == "iam":
        body, mask = body["serviceAccount"], body["updateMask"]
    else:
        mask = query.get("updateMask", "")
    etag = body.get("etag")
    if etag and "etag" in held and etag != held["etag"]:
        raise Refused(409, "ABORTED", "The etag in the request does not match the one of the resource.")
    if not mask:
        raise Refused(400, "INVALID_ARGUMENT", "updateMask is required")
    schema = schema_of(route)
    kept = g.keep(route.service, schema, body)

    def effect() -> dict[str, Any]:
        for field in mask.split(","):
            if field in kept and kept[field] not in ({}, []):
                held[field] = kept[field]
            else:
                held.pop(field, None)
        return touch(g, route.service, schema, held)

    if query.get("validateOnly") == "true":
        return _validated(g, "/".join(params["name"].split("/")[:4]), {**held, **kept})
    if not route.long:
        return effect()
    return g.told(g.begin(route, params["name"], effect, "/".join(params["name"].split("/")[:4])))


def _delete(g: Google, route: Route, params: dict[str, str], query: dict[str, str], body: Any) -> dict[str, Any]:
    name = params["name"]
    held = found(g, route.service, name)
    if route.service == "aiplatform" and held.get("deployedModels"):
        raise Refused(400, "FAILED_PRECONDITION", "The Endpoint has deployed models.")
    tags = [n for n, h in g.objects[route.service].items() if "/tags/" in n and h.get("version") == name]
    if tags and query.get("force") != "true":
        raise Refused(400, "FAILED_PRECONDITION", f"The version is tagged: {', '.join(tags)}")
    if str(held.get("state", "")).endswith(("_RUNNING", "_QUEUED", "_PENDING")):
        raise Refused(400, "FAILED_PRECONDITION", "The job is running.")

    def effect() -> dict[str, Any]:
        g.objects[route.service].pop(name, None)
        return {}

    if not route.long:
        return effect()
    at = name if route.service == "aiplatform" else "/".join(name.split("/")[:4])
    return g.told(g.begin(route, name, effect, at))


def _operation(g: Google, route: Route, params: dict[str, str]) -> dict[str, Any]:
    if route.verb == "list":
        prefix = f"{route.service}/{params['name']}/operations/"
        return {"operations": [g.told(o) for key, o in g.operations.items() if key.startswith(prefix)]}
    operation = g.operations.get(f"{route.service}/{params['name']}")
    if operation is None:
        raise Refused(404, "NOT_FOUND", f"Operation {params['name']} not found")
    g.look(operation)
    return g.told(operation)


def _permission(name: str) -> str:
    """A permission that there is: a service of the documents, one of its collections, what is done to it."""
    service, _, rest = name.partition(".")
    folder, _, verb = rest.partition(".")
    collections = {r.collection.rpartition(".")[2] for r in routes(service)} if service in VERSIONS else set()
    if folder not in collections | {"nodes"} or verb not in ("create", "upload"):
        raise Refused(400, "INVALID_ARGUMENT", f"Permission {name} is not valid for this resource.")
    return name


def _policy(g: Google, route: Route, body: Any) -> dict[str, Any]:
    import copy

    if route.verb == "getIamPolicy":
        return copy.deepcopy(g.policy)
    if route.verb == "testIamPermissions":
        return {"permissions": [p for p in body["permissions"] if _permission(p) not in g.lacking]}
    if route.verb != "setIamPolicy":
        raise Refused(501, "UNIMPLEMENTED", route.name)
    if body["policy"].get("etag") != g.policy["etag"]:
        raise Refused(409, "ABORTED", "There were concurrent policy changes. Please retry the whole read-modify-write.")
    for binding in body["policy"]["bindings"]:
        if "condition" in binding and (
            body["policy"].get("version") != 3 or binding["role"] in ("roles/owner", "roles/editor", "roles/viewer")
        ):
            raise Refused(400, "INVALID_ARGUMENT", "conditions need version 3, and no basic role")
    g.policy = {**body["policy"], "etag": f"BwE{next(g.counter)}"}
    return copy.deepcopy(g.policy)
