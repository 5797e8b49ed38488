"""``gcp.vertex_endpoint``, ``gcp.vertex_deployed_model``, ``gcp.vertex_traffic``.

An endpoint, a model deployed to it (immutable but for its scaling), and the split of the traffic between those.
https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mlinfra.model.cost import Cost
from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Path, Value, freeze, thaw
from mlinfra.provider import ownership
from mlinfra.provider.bodies import value_problems
from mlinfra.provider.contract import Find
from mlinfra.provider.failures import AlreadyExists, Conflict, Failure, Invalid, NotFound
from mlinfra_gcp import marks
from mlinfra_gcp.client import GcpClient
from mlinfra_gcp.documents import document
from mlinfra_gcp.engine.resource import TableType
from mlinfra_gcp.operations import finished, pending
from mlinfra_gcp.shape import alike, like
from mlinfra_gcp.table import Body, Row

DOC = "aiplatform.v1"
_E = "projects.locations.endpoints"
_V = "GoogleCloudAiplatformV1"
_SCALING = ("minReplicaCount", "maxReplicaCount", "requiredReplicaCount", "autoscalingMetricSpecs")
_MACHINE = ("machineSpec", "spot", *_SCALING)
_PLAIN = ("model", "serviceAccount", "disableContainerLogging", "enableAccessLogging", "disableExplanations")


def url_of(body: Body) -> str:
    """Where requests go: every path of the container lies below it (``/invocations``, ``/ping``)."""
    host = body.get("dedicatedEndpointDns") or f"{str(body['name']).split('/')[3]}-aiplatform.googleapis.com"
    return f"https://{host}/v1/{body['name']}/invoke"


class Endpoint(TableType):
    """An endpoint. What is deployed to it and how traffic is split stands in types of their own."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="gcp.vertex_endpoint", doc=DOC, collection=_E, schema=f"{_V}Endpoint", scope="location", chosen="endpointId",
                hidden=("trafficSplit", "etag"), fixed={n: "set when the endpoint is made" for n in ("network", "encryptionSpec",
                "dedicatedEndpointEnabled", "enablePrivateServiceConnect", "privateServiceConnectConfig")},
                extra={"url": url_of}, name_pattern=r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?", serves=True,
                before_delete=_emptied,
            )
        )  # fmt: skip


async def _emptied(client: GcpClient, identity: str, live: Body) -> None:
    """An endpoint is deleted only when nothing is deployed to it. What others deployed there is not ours to take away."""
    left = [d.get("displayName") or d["id"] for d in live.get("deployedModels") or ()]
    if left:
        raise Invalid(f"{identity} still has models deployed: {', '.join(left)}", hint="undeploy them first")


class DeployedModel:
    """A model version on machines behind an endpoint. Its id is chosen from the operation's, so that a new one stands beside the old.

    Google calls the replica counts immutable in ``dedicatedResources``, and changes them by ``mutateDeployedModel``."""

    schema = Schema(
        attributes={
            "endpoint": Attribute(
                type="string", required=True, immutable=True, same=alike, source="the endpoint that it is deployed to"
            ),
            "name": Attribute(
                type="string", computed=True, immutable=True, source=f"Immutable (DeployedModel.id, {document(DOC).cited})"
            ),
            "displayName": Attribute(
                type="string", immutable=True, source="a deployed model's display name is set when it is deployed"
            ),
            **{
                n: Attribute(
                    required=n == "model",
                    immutable=n != "disableContainerLogging",
                    same=alike,
                    source=""
                    if n == "disableContainerLogging"
                    else f"mutateDeployedModel does not change it ({document(DOC).cited})",
                )
                for n in _PLAIN
            },
            **{
                n: Attribute(
                    required=n in ("machineSpec", "minReplicaCount"),
                    immutable=n not in _SCALING,
                    same=alike,
                    source="" if n in _SCALING else f"Immutable (DedicatedResources.{n}, {document(DOC).cited})",
                )
                for n in _MACHINE
            },
            "id": Attribute(type="string", computed=True),
        },
        predict=lambda a: (
            {"id": f"{a['endpoint']}/deployedModels/{a['name']}"}
            if isinstance(a.get("endpoint"), str) and isinstance(a.get("name"), str)
            else {}
        ),
        serves=True,
        costs=True,
        create_first=True,
        inside=("endpoint",),
    )

    async def read(self, client: GcpClient, recorded: ResourceState) -> Observed | None:
        endpoint, number = split(recorded.id)
        found = await _deployed(client, endpoint, number)
        return None if found is None else _seen(endpoint, found, recorded.attributes)

    async def create(self, client: GcpClient, desired: Desired, token: str) -> Observed:
        wanted = _numbered(desired.attributes, token)
        endpoint, number = str(wanted["endpoint"]), str(wanted["name"])
        live = await _deployed(client, endpoint, number)
        if live is not None:
            if ownership.token_in(_shown(live)) == token:
                return _seen(endpoint, live, wanted)
            raise AlreadyExists(
                f"{endpoint} has a deployed model {number} already", import_id=f"{endpoint}/deployedModels/{number}"
            )
        line = client.owner(desired.address, token).line(marks.label_value, 120)
        body = _body(wanted)
        body["displayName"] = ownership.with_line(str(wanted.get("displayName") or ""), line, 128)
        try:
            answer = await client.call(DOC, f"{_E}.deployModel", {"endpoint": endpoint}, {"deployedModel": body})
            await finished(
                client, DOC, answer, what=f"deploying {wanted['model']}".replace("projects/", ""), limit=desired.timeout
            )
        except Failure as failure:
            from mlinfra_gcp.errors import NoRoom

            if isinstance(failure, NoRoom):
                from mlinfra_gcp.zones import elsewhere

                failure.hint = "; ".join(filter(None, (elsewhere(client, wanted), failure.hint)))
            raise
        live = await _deployed(client, endpoint, number)
        if live is None:
            raise Conflict(f"{endpoint}: the deployed model {number} cannot be seen yet")
        return _seen(endpoint, live, wanted)

    async def update(self, client: GcpClient, recorded: ResourceState, desired: Desired) -> Observed:
        endpoint, number = split(recorded.id)
        changed = [
            n for n in (*_SCALING, "disableContainerLogging") if not alike(recorded.attributes.get(n), desired.attributes.get(n))
        ]
        mask = [n if n == "disableContainerLogging" else f"dedicatedResources.{n}" for n in changed]
        body = {
            k: v for k, v in _body(desired.attributes).items() if k in ("id", "dedicatedResources", "disableContainerLogging")
        }
        answer = await client.call(
            DOC, f"{_E}.mutateDeployedModel", {"endpoint": endpoint}, {"deployedModel": body, "updateMask": ",".join(mask)}
        )
        await finished(client, DOC, answer, what=f"scaling {number}", limit=desired.timeout)
        live = await _deployed(client, endpoint, number)
        if live is None:
            raise NotFound(f"{recorded.id} is gone")
        return _seen(endpoint, live, desired.attributes)

    async def delete(self, client: GcpClient, recorded: ResourceState) -> None:
        endpoint, number = split(recorded.id)
        try:
            live = await client.call(DOC, f"{_E}.get", {"name": endpoint})
            if not any(d["id"] == number for d in live.get("deployedModels") or ()):
                return
            body: Body = {"deployedModelId": number}
            rest = {k: v for k, v in (live.get("trafficSplit") or {}).items() if k != number}
            if number in (live.get("trafficSplit") or {}) and sum(rest.values()):
                body["trafficSplit"] = whole(rest)
            answer = await client.call(DOC, f"{_E}.undeployModel", {"endpoint": endpoint}, body)
            await finished(client, DOC, answer, what=f"undeploying {number}")
        except NotFound:
            return

    async def find(self, client: GcpClient, desired: Desired, token: str) -> Observed | None:
        wanted = _numbered(desired.attributes, token)
        endpoint, number = str(wanted["endpoint"]), str(wanted["name"])
        live = await _deployed(client, endpoint, number)
        if live is None:
            waited = False
            async for operation in pending(client, DOC, endpoint):
                if "deploy" in json.dumps(operation).lower():
                    waited = True
                    try:
                        await finished(client, DOC, operation, what=f"deploying {number}, begun before")
                    except Failure as failure:
                        if failure.retryable:
                            raise
            live = await _deployed(client, endpoint, number) if waited else None
        if live is None or ownership.token_in(_shown(live)) != token:
            return None
        return _seen(endpoint, live, desired.attributes)

    async def adopt(self, client: GcpClient, id: str) -> Observed | None:
        endpoint, number = split(id)
        live = await _deployed(client, endpoint, number)
        if live is None:
            return None
        flat = {
            **{n: live[n] for n in _PLAIN if n in live},
            **{n: v for n, v in live.get("dedicatedResources", {}).items() if n in _MACHINE},
        }
        shown = ownership.without_line(_shown(live))
        return _seen(endpoint, live, freeze({**flat, **({"displayName": shown} if shown else {})}))

    def price(self, attributes: Map, settings: Map, find: Find) -> Cost | None:
        from mlinfra_gcp.prices import price

        return price("gcp.vertex_deployed_model", attributes, settings)

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        doc = document(DOC)
        found: list[tuple[Path, str]] = []
        for name in _PLAIN:
            found.extend(value_problems(doc, doc.properties(f"{_V}DeployedModel")[name], attributes.get(name), at=(name,)))
        for name in _MACHINE:
            found.extend(value_problems(doc, doc.properties(f"{_V}DedicatedResources")[name], attributes.get(name), at=(name,)))
        number = attributes.get("name")
        if isinstance(number, str) and not (number.isdigit() and 1 <= len(number) <= 10):
            found.append((("name",), f"{number!r} is no id of a deployed model: 1 to 10 digits"))
        return found


def _numbered(wanted: Map, token: str) -> Map:
    """With a name: 10 digits from the operation's token, where none is given."""
    return wanted if wanted.get("name") else Map({**wanted, "name": str(int(token, 16) % 9_000_000_000 + 1_000_000_000)})


def split(id: str) -> tuple[str, str]:
    """Endpoint and number of ``…/endpoints/E/deployedModels/N``. Invalid when it is no such id."""
    endpoint, found, number = id.partition("/deployedModels/")
    if not found or "/endpoints/" not in endpoint or not number:
        raise Invalid(f"{id!r} is no deployed model; write it as projects/P/locations/L/endpoints/E/deployedModels/NUMBER")
    return endpoint, number


def whole(split: Mapping[str, int]) -> dict[str, int]:
    """Weights as percentages that add up to 100, as Vertex AI wants them; the first takes what rounding leaves."""
    total = sum(split.values())
    shares = {k: v * 100 // total for k, v in split.items()} if total else {}
    if shares:
        first = max(shares, key=lambda k: (split[k], k))
        shares[first] += 100 - sum(shares.values())
    return {k: v for k, v in shares.items() if v}


def _body(wanted: Map) -> Body:
    body: Body = {"id": wanted["name"], **{n: thaw(wanted[n]) for n in _PLAIN if wanted.get(n) is not None}}
    body["dedicatedResources"] = {n: thaw(wanted[n]) for n in _MACHINE if wanted.get(n) is not None}
    return body


def _shown(live: Mapping[str, Any]) -> str:
    return str(live.get("displayName") or "")


def _seen(endpoint: str, live: Mapping[str, Any], wanted: Mapping[str, Value]) -> Observed:
    identity = f"{endpoint}/deployedModels/{live['id']}"
    flat = {**live, **live.get("dedicatedResources", {}), "displayName": ownership.without_line(_shown(live))}
    if live.get("modelVersionId") and "@" in str(wanted.get("model", "")):
        flat["model"] = f"{str(live['model']).partition('@')[0]}@{live['modelVersionId']}"
    out = {n: like(freeze(flat.get(n)), wanted[n]) for n in ("displayName", *_PLAIN, *_MACHINE) if wanted.get(n) is not None}
    kept = {n: v for n, v in out.items() if v is not None}
    return Observed(identity, Map({"endpoint": endpoint, "name": live["id"], **kept, "id": identity}))


async def _deployed(client: GcpClient, endpoint: str, number: str) -> dict[str, Any] | None:
    try:
        live = await client.call(DOC, f"{_E}.get", {"name": endpoint})
    except NotFound:
        return None
    return next((d for d in live.get("deployedModels") or () if d["id"] == number), None)


def shares(split: Value) -> dict[str, int]:
    """Percentages by deployed model."""
    return whole({str(s["deployedModel"]): int(s["weight"]) for s in split})


def _same_split(one: Value, other: Value) -> bool:
    try:
        return shares(one) == shares(other)
    except (KeyError, TypeError, ValueError):  # a part is not known yet
        return False


class Traffic:
    """How an endpoint splits its traffic between deployed models. Changed in place, with the endpoint's etag."""

    schema = Schema(
        attributes={
            "endpoint": Attribute(
                type="string", required=True, immutable=True, same=alike, source="the endpoint whose traffic it is"
            ),
            "split": Attribute(
                type="list", required=True, same=_same_split, description="{deployedModel, weight}: 90 and 10 like 9 and 1"
            ),
            "id": Attribute(type="string", computed=True),
        },
        predict=lambda a: {"id": f"{a['endpoint']}/traffic"} if isinstance(a.get("endpoint"), str) else {},
        serves=True,
        inside=("endpoint",),
    )

    async def read(self, client: GcpClient, recorded: ResourceState) -> Observed | None:
        return await self._seen(client, recorded.id.removesuffix("/traffic"), recorded.attributes.get("split"))

    async def create(self, client: GcpClient, desired: Desired, token: str) -> Observed:
        endpoint = str(desired.attributes["endpoint"])
        live = await client.call(DOC, f"{_E}.get", {"name": endpoint})
        if live.get("trafficSplit") and (live.get("labels") or {}).get(_TRAFFIC) != token:
            raise AlreadyExists(f"{endpoint} splits its traffic already", import_id=f"{endpoint}/traffic")
        await self._write(client, live, endpoint, desired.attributes["split"], token)
        seen = await self._seen(client, endpoint, desired.attributes["split"])
        assert seen is not None
        return seen

    async def update(self, client: GcpClient, recorded: ResourceState, desired: Desired) -> Observed:
        endpoint = recorded.id.removesuffix("/traffic")
        live = await client.call(DOC, f"{_E}.get", {"name": endpoint})
        await self._write(client, live, endpoint, desired.attributes["split"], "")
        seen = await self._seen(client, endpoint, desired.attributes["split"])
        if seen is None:
            raise NotFound(f"{recorded.id} is gone")
        return seen

    async def delete(self, client: GcpClient, recorded: ResourceState) -> None:
        endpoint = recorded.id.removesuffix("/traffic")
        try:
            live = await client.call(DOC, f"{_E}.get", {"name": endpoint})
            if live.get("trafficSplit"):
                await self._write(client, live, endpoint, (), "")
        except NotFound:
            return

    async def find(self, client: GcpClient, desired: Desired, token: str) -> Observed | None:
        endpoint = str(desired.attributes["endpoint"])
        try:
            live = await client.call(DOC, f"{_E}.get", {"name": endpoint})
        except NotFound:
            return None
        return (
            await self._seen(client, endpoint, desired.attributes["split"])
            if (live.get("labels") or {}).get(_TRAFFIC) == token
            else None
        )

    async def adopt(self, client: GcpClient, id: str) -> Observed | None:
        if not id.endswith("/traffic") or "/endpoints/" not in id:
            raise Invalid(f"{id!r} is no traffic; write it as projects/P/locations/L/endpoints/E/traffic")
        return await self._seen(client, id.removesuffix("/traffic"), None)

    async def _seen(self, client: GcpClient, endpoint: str, wanted: Value) -> Observed | None:
        try:
            live = await client.call(DOC, f"{_E}.get", {"name": endpoint})
        except NotFound:
            return None
        if not live.get("trafficSplit"):
            return None
        identity = f"{endpoint}/traffic"
        split: Value = tuple([Map(deployedModel=k, weight=v) for k, v in sorted(live["trafficSplit"].items())])
        split = wanted if wanted is not None and _same_split(split, wanted) else split
        return Observed(identity, Map(endpoint=endpoint, split=split, id=identity))

    async def _write(self, client: GcpClient, live: Body, endpoint: str, split: Value, token: str) -> None:
        body: Body = {"trafficSplit": shares(split), "etag": live.get("etag")}
        mask = "trafficSplit"
        if token:
            body["labels"], mask = {**(live.get("labels") or {}), _TRAFFIC: token}, "trafficSplit,labels"
        await client.call(DOC, f"{_E}.patch", {"name": endpoint, "updateMask": mask}, body)


_TRAFFIC = f"{ownership.PREFIX}traffic-op"
"""The endpoint's label that says which operation first split its traffic."""
