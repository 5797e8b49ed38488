"""A native type as the engine calls it: a :class:`~mlinfra_azure.table.Row` at work."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence

from mlinfra.model.change import SAFE, Risk
from mlinfra.model.cost import Cost
from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import DEFERRED, Map, Path, Secret, SecretDigest, Value, is_known, reveal, thaw
from mlinfra.provider.bodies import field_problems, value_problems
from mlinfra.provider.contract import Find
from mlinfra.provider.failures import AlreadyExists, Failure, Invalid, NotFound
from mlinfra_azure import marks, names, operations
from mlinfra_azure.client import AzureClient
from mlinfra_azure.engine.bodied import Bodied, at, prune, put
from mlinfra_azure.parents import Marked
from mlinfra_azure.shape import alike, same_place
from mlinfra_azure.table import Body

_FEW = 3
"""So many of one place are read one by one; more by one list call."""


class TableType(Bodied):
    """A native type that is a row of the table."""

    async def read(self, client: AzureClient, recorded: ResourceState) -> Observed | None:
        body = await client.get(recorded.id, self.row.version)
        return None if body is None else self.observed(client, recorded.id, body, recorded.attributes)

    async def read_many(self, client: AzureClient, recorded: Sequence[ResourceState]) -> Mapping[str, Observed]:
        groups: dict[str, list[ResourceState]] = {}
        for state in recorded:
            groups.setdefault(self.row.place_of(state.id).lower(), []).append(state)
        answers = await asyncio.gather(*[self._read_group(client, group) for group in groups.values()])
        return {id: seen for answer in answers for id, seen in answer.items()}

    async def create(self, client: AzureClient, desired: Desired, token: str) -> Observed:
        attributes = self.placed(client, desired.attributes)
        identity = self.row.identity(attributes)
        assert identity is not None
        live = await client.get(identity, self.row.version)
        if live is not None:
            if await self.made_by(client, identity, live) != token:
                raise AlreadyExists(f"there is a {self.row.type} {identity} already, and it is not ours", import_id=identity)
            if operations.state_of(live) not in ("failed", "canceled"):
                return await self.ready(client, identity, desired)
        owner = client.owner(desired.address, token)
        body = self.body(client, attributes, owner.marks(marks.tag_value), owner.line(marks.word))
        if self.row.marks == "parent":
            await Marked(client, identity, self.row.parent_of(identity)).mark(token)
        try:
            await client.put(identity, self.row.version, body, what=f"creating {self.said(attributes)}", limit=desired.timeout)
        except Failure as failure:
            if not failure.retryable:
                await self._left_behind(client, identity, token, desired, failure)
            raise
        return await self.ready(client, identity, desired)

    async def ready(self, client: AzureClient, identity: str, desired: Desired) -> Observed:
        """The object once it is what was asked for. A Failure carries what stands."""
        body = await operations.settled(
            client, identity, self.row.version, what=self.said(desired.attributes), limit=desired.timeout
        )
        return self.observed(client, identity, body, self.placed(client, desired.attributes))

    async def update(self, client: AzureClient, recorded: ResourceState, desired: Desired) -> Observed:
        wanted = self.placed(client, desired.attributes)
        live = await client.get(recorded.id, self.row.version)
        if live is None:
            raise NotFound(f"{recorded.id} is gone")
        gone = [
            n for n in self.row.places if recorded.attributes.get(n) is not None and wanted.get(n) is None and n != "location"
        ]
        changed = [n for n in self.row.places if not _same(n, recorded.attributes.get(n), wanted.get(n))]
        etag = str(live["etag"]) if self.row.etag and live.get("etag") else None
        what = f"changing {self.said(wanted)}"
        if changed and self.row.changes == "patch":
            body = self.patch_body(client, live, wanted, changed, recorded)
            await client.patch(recorded.id, self.row.version, body, etag=etag, what=what, limit=desired.timeout)
        elif changed:
            body = self.whole_body(client, live, wanted, gone)
            await client.put(recorded.id, self.row.version, body, etag=etag, what=what, limit=desired.timeout)
        return await self.ready(client, recorded.id, desired)

    def whole_body(self, client: AzureClient, live: Body, wanted: Map, gone: Sequence[str]) -> Body:
        """What stands, without what is read only, with what is wanted: what others set there is kept."""
        body = prune(self.row.contract, live)
        for name in (*gone, *(n for n in self.row.places if wanted.get(n) is not None)):
            place = self.row.places[name]
            inside = at(body, place[:-1])
            if isinstance(inside, dict):
                inside.pop(str(place[-1]), None)
            if wanted.get(name) is not None:
                put(body, place, thaw(reveal(wanted[name])))
        self._mark(client, body, *self.marks_of(live))
        return body

    def patch_body(self, client: AzureClient, live: Body, wanted: Map, changed: Sequence[str], recorded: ResourceState) -> Body:
        """What differs, whole values; null for what is wanted no more."""
        body: Body = {}
        for name in changed:
            put(body, self.row.places[name], thaw(reveal(wanted.get(name))))
        if "tags" in changed:
            place = self.row.places["tags"]
            put(body, place, {**client.config.tags, **(at(body, place) or {}), **self.marks_of(live)[0]})
        return body

    async def delete(self, client: AzureClient, recorded: ResourceState) -> None:
        await client.delete(
            recorded.id,
            self.row.version,
            query=self.row.delete_query,
            what=f"deleting {self.said({'name': recorded.id.rpartition('/')[2]})}",
        )
        if self.row.marks == "parent":
            await Marked(client, recorded.id, self.row.parent_of(recorded.id)).unmark()

    async def find(self, client: AzureClient, desired: Desired, token: str) -> Observed | None:
        identity = self.row.identity(self.placed(client, desired.attributes))
        assert identity is not None
        live = await client.get(identity, self.row.version)
        if live is None or await self.made_by(client, identity, live) != token:
            return None
        try:
            return await self.ready(client, identity, desired)
        except Failure as failure:
            if failure.retryable:
                raise
            return self.observed(client, identity, live, self.placed(client, desired.attributes))

    async def adopt(self, client: AzureClient, id: str) -> Observed | None:
        identity = id.rstrip("/")
        if not self.row.is_own(identity):
            raise Invalid(f"{id!r} is no {self.row.type}; write its resource id: {self.example()}")
        body = await client.get(identity, self.row.version)
        return None if body is None else self.observed(client, identity, body, self.everything(body))

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        contract = self.row.contract
        given = {n: v for n, v in attributes.items() if n in self.row.places}
        inner = Map({n: v for n, v in given.items() if self.row.places[n][0] == "properties"})
        top = {n: p for n, p in contract.body.items() if n != "properties"}
        found = list(field_problems(contract, "", top, {n: v for n, v in given.items() if n not in inner}))
        if inner or contract.body.get("properties", {}).get("required"):
            found.extend(value_problems(contract, contract.inner, inner))
        known = self.schema.attributes
        said = [
            (p, s) for p, s in found if len(p) > 1 or p[0] in attributes or not (known[str(p[0])].required or p[0] == "location")
        ]
        said = [(p, s) for p, s in said if p[0] in self.row.places]
        return [*said, *self._problems_of_names(attributes), *self._problems_of_tags(attributes)]

    def assess(self, before: Map, after: Map) -> Risk:
        return self.row.assess(before, after) if self.row.assess else SAFE

    def price(self, attributes: Map, settings: Map, find: Find) -> Cost | None:
        from mlinfra_azure.prices import price

        return price(self.row.type, attributes, settings)

    def said(self, attributes: Mapping[str, Value]) -> str:
        return f"{self.row.type.partition('.')[2].replace('_', ' ')} {attributes.get('name') or self.row.only}".strip()

    def example(self) -> str:
        """How an id of this type is written."""
        parent = {"group": "/subscriptions/S/resourceGroups/G", "subscription": "/subscriptions/S"}.get(self.row.home, "…")
        return f"{parent}/{self.row.segment}/{self.row.only or 'NAME'}"

    async def made_by(self, client: AzureClient, identity: str, live: Body) -> str:
        """The operation that made it, as far as it, or what it lies in, says so."""
        if self.row.marks == "parent":
            return await Marked(client, identity, self.row.parent_of(identity)).token()
        return self.token_of(live)

    def _problems_of_names(self, attributes: Map) -> list[tuple[Path, str]]:
        found: list[tuple[Path, str]] = []
        called, parent = attributes.get("name"), attributes.get(self.row.within)
        pattern, words = self.row.name_rule
        if isinstance(called, str) and pattern and not re.fullmatch(pattern, called):
            found.append((("name",), f"{called!r} is no name that Azure takes here: {words}"))
        if isinstance(called, str) and self.row.only and called != self.row.only:
            found.append((("name",), f"there is one alone, and its name is {self.row.only!r}"))
        if isinstance(parent, str):
            home = {"group": "Microsoft.Resources/resourceGroups", "subscription": "Microsoft.Resources/subscriptions"}.get(
                self.row.home
            )
            if not names.is_id(parent) or (home and names.type_of(parent) != home):
                what = {"group": "/subscriptions/S/resourceGroups/NAME, or leave it out", "subscription": "/subscriptions/S"}
                written = what.get(self.row.home, "the resource id of what it lies in")
                found.append(((self.row.within,), f"{parent!r} cannot hold it; write {written}"))
        return found

    def _problems_of_tags(self, attributes: Map) -> list[tuple[Path, str]]:
        tags = attributes.get("tags")
        if not isinstance(tags, Mapping):
            return []
        own = [(("tags", k), f"the tag {k!r} is mlinfra's own") for k in tags if marks.is_ours(k)]
        long = [
            (("tags", k), "a tag's name has at most 128 characters, none of <>%&\\?/, its value at most 256")
            for k, v in tags.items()
            if len(k) > 128 or any(c in "<>%&\\?/" for c in k) or (isinstance(v, str) and len(v) > 256)
        ]
        return [*own, *long]

    async def _left_behind(self, client: AzureClient, identity: str, token: str, desired: Desired, failure: Failure) -> None:
        """What a refused create made all the same is recorded with the failure, so that it is taken away."""
        try:
            live = await client.get(identity, self.row.version)
            mine = live is not None and await self.made_by(client, identity, live) == token
            if not mine and self.row.marks == "parent":
                await Marked(client, identity, self.row.parent_of(identity)).unmark()
        except Failure:
            return
        if mine and live is not None:
            failure.partial = self.observed(client, identity, live, self.placed(client, desired.attributes))

    async def _read_group(self, client: AzureClient, group: Sequence[ResourceState]) -> dict[str, Observed]:
        if len(group) <= _FEW or not self.row.listed:
            seen = await asyncio.gather(*[self.read(client, state) for state in group])
            return {state.id: found for state, found in zip(group, seen, strict=True) if found is not None}
        wanted = {state.id.lower(): state for state in group}
        answers: dict[str, Observed] = {}
        try:
            async for item in client.pages(self.row.place_of(group[0].id), self.row.version):
                state = wanted.get(str(item.get("id", "")).lower())
                if state is not None:
                    answers[state.id] = self.observed(client, state.id, item, state.attributes)
        except NotFound:  # what they lay in is gone
            return {}
        return answers


def _same(name: str, recorded: Value, wanted: Value) -> bool:
    if recorded is None or wanted is None:
        return recorded is wanted
    if any(isinstance(v, (Secret, SecretDigest, *DEFERRED)) for v in (recorded, wanted)):
        return False
    return is_known(wanted) and (same_place(recorded, wanted) if name == "location" else alike(recorded, wanted))
