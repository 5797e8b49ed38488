"""``TARGET.zilliz_cluster``: one cluster of Zilliz Cloud, with the names of its REST API.

Its create call takes no token, no tag and no description, so the cluster's name carries the operation that makes it: ``NAME-1a2b3c4d``,
the first eight digits of the operation's id. That is how a cluster which a crash left is found, and why no other is ever taken for it.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from mlinfra.model.cost import Cost
from mlinfra.model.patterns import pattern
from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Path, Secret, Value, is_known
from mlinfra.provider.contract import Find
from mlinfra.provider.failures import AlreadyExists, Denied, Failure, Invalid, NotFound, Throttled, Timeout, Transient
from mlinfra.provider.limiter import slow_down, waiting
from mlinfra.provider.progress import say
from mlinfra.provider.zilliz.client import Zilliz

RUNNING = "RUNNING"
NAME_LIMIT = 23
"""Characters that leave room for the operation: a cluster's name has 32 at most, letters, digits and hyphens."""
_PATIENCE = 3600.0
"""Seconds that a cluster may take where ``lifecycle.timeout`` does not say otherwise."""
_INSISTENCE = 8
_SERVES = frozenset({RUNNING, "MODIFYING"})
"""A cluster that is resized goes on serving."""
_GOING = frozenset({"CREATING", "MODIFYING", "RESUMING", "STOPPING", "SUSPENDING", "INITIALIZING"})
_STOPPED = frozenset({"STOPPED", "SUSPENDED"})
_GONE = frozenset({"DELETING", "DELETED"})
_SUFFIX = pattern(r"-[0-9a-f]{8}\Z")
_FIXED = "Zilliz Cloud: given when a cluster is created, and in no other call"


class HasZilliz(Protocol):
    """What the type asks of a provider's client."""

    zilliz: Zilliz


def _predict(attributes: Map) -> Mapping[str, Value]:
    return {"status": RUNNING}


class ZillizCluster:
    """``name`` begins the cluster's name (``clusterName``). Without ``projectId``: the settings' project, or the only one."""

    schema = Schema(
        attributes={
            "name": Attribute(type="string", required=True, immutable=True, source="it names the cluster"),
            "projectId": Attribute(type="string", computed=True, immutable=True, source=_FIXED),
            "regionId": Attribute(type="string", required=True, immutable=True, source=_FIXED),
            "plan": Attribute(type="string", required=True, immutable=True, source=_FIXED),
            "cuType": Attribute(type="string", immutable=True, source=_FIXED),
            "cuSize": Attribute(type="integer", description="compute units of a dedicated cluster"),
            "replica": Attribute(type="integer", description="copies of a dedicated cluster of plan Enterprise"),
            "clusterId": Attribute(type="string", computed=True),
            "clusterName": Attribute(type="string", computed=True),
            "connectAddress": Attribute(type="string", computed=True, description="the public endpoint"),
            "status": Attribute(type="string", computed=True),
            "token": Attribute(
                type="string", computed=True, sensitive=True, volatile=True, description="what opens it: the API key"
            ),
        },
        predict=_predict,
        holds_data=True,
        serves=True,
        costs=True,
    )

    async def read(self, client: HasZilliz, recorded: ResourceState) -> Observed | None:
        return _seen(client.zilliz, await client.zilliz.describe(recorded.id), recorded.attributes)

    async def adopt(self, client: HasZilliz, id: str) -> Observed | None:
        return _seen(client.zilliz, await client.zilliz.describe(id), Map())

    async def find(self, client: HasZilliz, desired: Desired, token: str) -> Observed | None:
        found = await client.zilliz.named(_named(desired.attributes, token))
        return _seen(client.zilliz, found, desired.attributes)

    async def create(self, client: HasZilliz, desired: Desired, token: str) -> Observed:
        zilliz, wanted = client.zilliz, desired.attributes
        project = wanted.get("projectId") or await zilliz.project()
        id = await _made(zilliz, wanted, str(project), _named(wanted, token))
        found = await _until_it_runs(zilliz, id, desired.timeout)
        copies = wanted.get("replica") or 1
        if copies != 1:
            await zilliz.modify(id, {"replica": copies})
            found = await _until_it_runs(zilliz, id, desired.timeout)
        return _must(_seen(zilliz, found, wanted), id)

    async def update(self, client: HasZilliz, recorded: ResourceState, desired: Desired) -> Observed:
        """Resume it where it was suspended; then size and copies, one after the other, as Zilliz Cloud takes them."""
        zilliz, id, wanted = client.zilliz, recorded.id, desired.attributes
        found = await zilliz.describe(id)
        if found is not None and found.get("status") in _STOPPED:
            say("resuming it")
            await zilliz.resume(id)
        found = await _until_it_runs(zilliz, id, desired.timeout)
        for name, default in (("cuSize", None), ("replica", 1)):
            want = wanted.get(name, default)
            have = found.get(name) or recorded.attributes.get(name, default)
            if want is not None and want != have:
                await zilliz.modify(id, {name: want})
                found = await _until_it_runs(zilliz, id, desired.timeout)
        return _must(_seen(zilliz, found, wanted), id)

    async def delete(self, client: HasZilliz, recorded: ResourceState) -> None:
        await client.zilliz.drop(recorded.id)

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        plan, size, copies = (_plain(attributes.get(name)) for name in ("plan", "cuSize", "replica"))
        name = _plain(attributes.get("name"))
        problems: list[tuple[Path, str]] = []
        if isinstance(name, str) and not re.fullmatch(rf"[A-Za-z0-9][A-Za-z0-9-]{{0,{NAME_LIMIT - 1}}}", name):
            problems.append((("name",), f"{name!r} must be letters, digits and hyphens, {NAME_LIMIT} at most"))
        if isinstance(plan, str) and plan not in ("Serverless", "Standard", "Enterprise"):
            problems.append((("plan",), f"{plan!r} must be Serverless, Standard or Enterprise"))
        kind = _plain(attributes.get("cuType"))
        if isinstance(kind, str) and kind not in ("Performance-optimized", "Capacity-optimized"):
            problems.append((("cuType",), f"{kind!r} must be Performance-optimized or Capacity-optimized"))
        if plan == "Serverless":
            given = next((n for n in ("cuSize", "cuType", "replica") if attributes.get(n) is not None), None)
            return [*problems, ((given,), f"a serverless cluster has no {given}")] if given else problems
        if plan in ("Standard", "Enterprise"):
            problems += [((n,), f"a {plan} cluster needs {n}") for n in ("cuSize", "cuType") if attributes.get(n) is None]
        if (
            isinstance(size, int)
            and plan in ("Standard", "Enterprise")
            and not _is_size(size, 32 if plan == "Standard" else 1024)
        ):
            problems.append(
                (("cuSize",), f"there is no {plan} cluster of {size} compute units: 1, 2, 4, 8, 12 … {_most(str(plan)):,}")
            )
        if isinstance(copies, int) and copies != 1:
            if copies < 1:
                problems.append((("replica",), "there is 1 copy at least"))
            elif plan == "Standard":
                problems.append((("replica",), "copies need plan Enterprise"))
            elif isinstance(size, int) and not (size >= 8 and size * copies <= 256):
                problems.append((("replica",), "copies need 8 compute units or more, and 256 in all copies together at most"))
        return problems

    def price(self, attributes: Map, settings: Map, find: Find) -> Cost | None:
        if attributes.get("plan") == "Serverless":
            return None
        size = attributes.get("cuSize") if isinstance(attributes.get("cuSize"), int) else "some"
        copies = attributes.get("replica") if isinstance(attributes.get("replica"), int) else 1
        times = f"{copies} × " if copies != 1 else ""
        return Cost(monthly=None, sentence=f"{times}{size} compute units of Zilliz Cloud {attributes.get('plan')}")


async def _made(zilliz: Zilliz, wanted: Map, project: str, name: str) -> str:
    """The id of the cluster of this name: made now, or by an attempt whose answer was lost."""
    body: dict[str, Any] = {"clusterName": name, "projectId": project, "regionId": wanted["regionId"]}
    for attempt in range(1, 4):
        try:
            if wanted["plan"] == "Serverless":
                return await zilliz.create_serverless(body)
            return await zilliz.create_dedicated({**body, **{n: wanted[n] for n in ("plan", "cuType", "cuSize")}})
        except (AlreadyExists, Transient) as failure:
            found = await zilliz.named(name)
            if found is not None:
                return str(found["clusterId"])
            if attempt == 3 or isinstance(failure, AlreadyExists):
                raise
    raise AssertionError("unreachable")


async def _until_it_runs(zilliz: Zilliz, id: str, patience: float | None) -> dict[str, Any]:
    """The cluster as soon as it runs. A Timeout leaves what was begun as it is: the next apply finds it and goes on waiting."""
    limit = patience or _PATIENCE
    until = time.monotonic() + limit
    said = ""
    while True:
        found = await _insistently(zilliz, id)
        if found is None or found.get("status") in _GONE:
            raise NotFound(f"the Zilliz Cloud cluster {id} is no more: it was dropped while it was waited for")
        status = str(found.get("status"))
        if status == RUNNING:
            return found
        if status not in _GOING:
            raise _stuck(id, status)
        progress = found.get("createProgress")
        doing = f"{id} is {status}" + (f", {progress} %" if status == "CREATING" and isinstance(progress, int) else "")
        if doing != said:
            said = doing
            say(doing)
        if time.monotonic() > until:
            raise Timeout(f"the Zilliz Cloud cluster {id} is still {status} after {limit / 60:.0f} minutes", hint="apply again")
        async with waiting():
            await asyncio.sleep(zilliz.settings.poll)


async def _insistently(zilliz: Zilliz, id: str) -> dict[str, Any] | None:
    """A look at the cluster that a short failure of the network does not end: what was begun must be seen to its end."""
    for _ in range(1, _INSISTENCE):
        try:
            return await zilliz.describe(id)
        except Throttled as failure:
            slow_down()
            async with waiting():
                await asyncio.sleep(failure.after or zilliz.settings.poll)
        except Transient:
            async with waiting():
                await asyncio.sleep(zilliz.settings.poll)
    return await zilliz.describe(id)


def _stuck(id: str, status: str) -> Failure:
    if status in ("FREEZING", "FROZEN"):
        return Denied(f"the Zilliz Cloud cluster {id} is {status}", hint="Zilliz Cloud freezes what is not paid: look at Billing")
    return Invalid(f"the Zilliz Cloud cluster {id} is {status}", hint="look at it in Zilliz Cloud's console, or ask its support")


def _named(attributes: Map, token: str) -> str:
    return f"{attributes['name']}-{token[:8]}"


def _seen(zilliz: Zilliz, found: Mapping[str, Any] | None, known: Map) -> Observed | None:
    """The cluster as the schema has it; ``known`` is what was recorded or asked for."""
    if found is None or found.get("status") in _GONE:
        return None
    name = str(found["clusterName"])
    status = str(found.get("status"))
    told = {n: found[n] for n in ("projectId", "regionId", "plan", "cuType", "cuSize", "replica") if found.get(n)}
    if "replica" not in found and known.get("replica") is not None:
        told["replica"] = known["replica"]  # the published answer does not tell it
    if told.get("replica") == 1 and known.get("replica") is None:
        del told["replica"]
    return Observed(
        str(found["clusterId"]),
        Map(
            {
                **told,
                "name": known.get("name") or _SUFFIX.sub("", name),
                "clusterId": str(found["clusterId"]),
                "clusterName": name,
                "connectAddress": str(found.get("connectAddress") or ""),
                "status": RUNNING if status in _SERVES else status,
                "token": Secret(zilliz.key),
            }
        ),
    )


def _must(observed: Observed | None, id: str) -> Observed:
    if observed is None:
        raise NotFound(f"the Zilliz Cloud cluster {id} was dropped while it was being changed")
    return observed


def _plain(value: Value) -> Value:
    return value if is_known(value) else None


def _most(plan: str) -> int:
    return 32 if plan == "Standard" else 1024


def _is_size(size: int, most: int) -> bool:
    """https://docs.zilliz.com/reference/restful/create-dedicated-cluster-v2: 1, 2, by 4 up to 64, by 8 up to 256, by 16 beyond."""
    step = 4 if size <= 64 else 8 if size <= 256 else 16
    return size in (1, 2) or (4 <= size <= most and size % step == 0)
