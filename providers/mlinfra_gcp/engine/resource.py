"""A native type as the engine calls it: a :class:`~mlinfra_gcp.table.Row` at work."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Mapping, Sequence

from mlinfra.model.change import SAFE, Risk
from mlinfra.model.cost import Cost
from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import Map, Path
from mlinfra.provider import ownership
from mlinfra.provider.bodies import value_problems
from mlinfra.provider.contract import Find
from mlinfra.provider.failures import AlreadyExists, Failure, NotFound, Timeout, Transient
from mlinfra_gcp import marks
from mlinfra_gcp.client import GcpClient
from mlinfra_gcp.engine.checked import Checked
from mlinfra_gcp.errors import NoRoom
from mlinfra_gcp.operations import finished, pending
from mlinfra_gcp.table import Body

_FEW = 3
"""So many of one place are read one by one; more by one list call."""


class TableType(Checked):
    """A native type that is a row of the table."""

    async def read(self, client: GcpClient, recorded: ResourceState) -> Observed | None:
        body = await self.get(client, recorded.id)
        return None if body is None else self.observed(client, recorded.id, body, recorded.attributes)

    async def read_many(self, client: GcpClient, recorded: Sequence[ResourceState]) -> Mapping[str, Observed]:
        groups: dict[str, list[ResourceState]] = {}
        for state in recorded:
            groups.setdefault(state.id.rpartition("/")[0], []).append(state)
        answers = await asyncio.gather(*[self._read_group(client, group) for group in groups.values()])
        return {id: seen for answer in answers for id, seen in answer.items()}

    async def create(self, client: GcpClient, desired: Desired, token: str) -> Observed:
        attributes = self.placed(client, desired.attributes)
        identity = self.row.identity(attributes)
        body = self.body(client, attributes, client.owner(desired.address, token))
        try:
            answer = await client.call(
                self.row.doc,
                self._method(self.row.create),
                self._create_params(attributes, token),
                self._wrapped(attributes, body),
            )
            made = await finished(client, self.row.doc, answer, what=f"creating {self._said(attributes)}", limit=desired.timeout)
        except AlreadyExists as failure:
            live = await self.get(client, identity) if identity else None
            if live is None or self.token_of(live) != token:
                raise AlreadyExists(f"{failure.message}; it is not ours", import_id=identity or "") from failure
            made = live
        except NoRoom as failure:
            from mlinfra_gcp.zones import elsewhere

            failure.hint = "; ".join(filter(None, (elsewhere(client, attributes), failure.hint)))
            raise
        except Failure as failure:
            if identity and not isinstance(failure, (Transient, Timeout)):
                await self._left_behind(client, identity, token, desired, failure)
            raise
        identity = identity or self.id_of(made, attributes)
        return await self.settled(client, identity, desired, made if self._whole(made) else None)

    async def update(self, client: GcpClient, recorded: ResourceState, desired: Desired) -> Observed:
        wanted = self.placed(client, desired.attributes)
        changed = self.changed(recorded.attributes, wanted)
        live = await self.get(client, recorded.id)
        if live is None:
            raise NotFound(f"{recorded.id} is gone")
        for name in [n for n in changed if n in self.row.setters]:
            await self._set(client, recorded.id, name, wanted, live, desired)
            live = await self.get(client, recorded.id) or live
        rest = [n for n in changed if n not in self.row.setters]
        if rest:
            await self._patch(client, recorded, wanted, rest, live, desired)
        await self.updated(client, recorded, desired)
        return await self.settled(client, recorded.id, desired, None)

    async def delete(self, client: GcpClient, recorded: ResourceState) -> None:
        try:
            if self.row.before_delete is not None:
                live = await self.get(client, recorded.id)
                if live is None:
                    return
                await self.row.before_delete(client, recorded.id, live)
            answer = await client.call(
                self.row.doc, self._method("delete"), {**self._id_params("delete", recorded.id), **self.row.delete_query}
            )
            await finished(client, self.row.doc, answer, what=f"deleting {recorded.id.rpartition('/')[2]}")
        except NotFound:
            return

    async def find(self, client: GcpClient, desired: Desired, token: str) -> Observed | None:
        attributes = self.placed(client, desired.attributes)
        live = await self._look_for(client, attributes, token)
        if live is None or self.token_of(live) != token:
            return None
        identity = self.row.identity(attributes) if self.row.chosen else self.id_of(live, attributes)
        assert identity is not None
        try:
            return await self.settled(client, identity, desired, None)
        except Failure as failure:
            if failure.partial is None:
                raise
            return failure.partial

    async def adopt(self, client: GcpClient, id: str) -> Observed | None:
        identity = self.full(client, id)
        body = await self.get(client, identity)
        return None if body is None else self.observed(client, identity, body, self._everything(body, identity))

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        found: list[tuple[Path, str]] = []
        doc, method = self.row.document, self.row.create_name
        for name, prop in self.row.properties.items():
            if name in attributes:
                found.extend(value_problems(doc, prop, attributes[name], method=method, at=(name,)))
        called = attributes.get("name")
        if isinstance(called, str) and self.row.name_pattern and not re.fullmatch(self.row.name_pattern, called):
            found.append((("name",), f"{called!r} is no name that Google takes here: it must match {self.row.name_pattern}"))
        labels = self._labels(attributes)
        if isinstance(labels, Mapping):
            at = self.row.marks
            found.extend(((*at, k), f"the label {k!r} is mlinfra's own") for k in labels if k.startswith(ownership.PREFIX))
            found.extend(
                ((*at, k), f"{v!r} is no value of a label: lower-case letters, digits, - and _, at most 63")
                for k, v in labels.items()
                if isinstance(v, str) and marks.label_value(v) != v
            )
        return found

    def assess(self, before: Map, after: Map) -> Risk:
        return self.row.assess(before, after) if self.row.assess else SAFE

    def price(self, attributes: Map, settings: Map, find: Find) -> Cost | None:
        from mlinfra_gcp.prices import price

        return price(self.row.type, attributes, settings)

    async def updated(self, client: GcpClient, recorded: ResourceState, desired: Desired) -> None:
        """What an update does beside the body."""

    async def _left_behind(self, client: GcpClient, identity: str, token: str, desired: Desired, failure: Failure) -> None:
        """What a refused create made all the same is recorded with the failure, so that it is taken away."""
        try:
            live = await self.get(client, identity)
        except Failure:
            return
        if live is not None and self.token_of(live) == token:
            failure.partial = self.observed(client, identity, live, self.placed(client, desired.attributes))

    async def _look_for(self, client: GcpClient, attributes: Map, token: str) -> Body | None:
        if not self.row.chosen:
            params = self._list_params(attributes)
            if self.row.search:
                params["filter"] = self.row.search.format(token=token)
            async for item in client.pages(self.row.doc, self._method("list"), params, self._items()):
                if self.token_of(item) == token:
                    return item
            return None
        identity = self.row.identity(attributes)
        assert identity is not None
        live = await self.get(client, identity)
        if live is not None:
            return live
        waited = False
        for parent in (self.row.parent(attributes),) if self.row.doc == "compute.v1" else (identity, self.row.parent(attributes)):
            async for operation in pending(client, self.row.doc, parent):
                if identity in json.dumps(operation) or operation.get("clientOperationId") == str(uuid.UUID(token)):
                    waited = True
                    try:
                        await finished(client, self.row.doc, operation, what=f"creating {self._said(attributes)}, begun before")
                    except Failure as failure:
                        if failure.retryable:
                            raise
        return await self.get(client, identity) if waited else None

    async def _read_group(self, client: GcpClient, group: Sequence[ResourceState]) -> dict[str, Observed]:
        if len(group) <= _FEW or self._method("list") not in self.row.document.methods:
            seen = await asyncio.gather(*[self.read(client, state) for state in group])
            return {state.id: found for state, found in zip(group, seen, strict=True) if found is not None}
        wanted = {state.id: state for state in group}
        answers: dict[str, Observed] = {}
        where = self._place_of(client, group[0].id)
        async for item in client.pages(self.row.doc, self._method("list"), self._list_params(where), self._items()):
            identity = self._listed_id(item, where)
            if identity in wanted:
                answers[identity] = self.observed(client, identity, item, wanted[identity].attributes)
        return answers
