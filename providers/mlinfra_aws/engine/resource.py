"""A native type as the engine calls it, made of its table. Types with a mind of their own override single steps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import Map, freeze
from mlinfra.provider.failures import AlreadyExists, Failure, Invalid, NotFound
from mlinfra.provider.limiter import waiting
from mlinfra.provider.progress import say
from mlinfra_aws.client import Aws
from mlinfra_aws.engine import tags as tagging
from mlinfra_aws.engine.answers import Raw, dig, half, public, texts
from mlinfra_aws.engine.checks import by_shape
from mlinfra_aws.engine.translate import member_of, to_api
from mlinfra_aws.engine.waited import Waited
from mlinfra_aws.faults import RoleNotUsable
from mlinfra_aws.models import input_shape

_SHORT = 5
"""Pages of a list that is worth reading to find out whether names are taken."""
_YOUNG = 120.0
"""Seconds after which a role that AWS cannot take on is no longer too new for it."""


class TableType(Waited):
    """One native type. Steps in threads begin with an underscore and are synchronous; what is ``async`` is called by the engine."""

    async def read(self, client: Aws, recorded: ResourceState) -> Observed | None:
        return await client.run(self._read, client, recorded)

    async def create(self, client: Aws, desired: Desired, token: str) -> Observed:
        wanted = self.named(client, desired)
        if self.table.upsert:
            await self._refuse_taken(client, wanted)
        observed = await self._patiently(client, wanted, token)
        if self.table.states is not None and not self._is_ready(observed):
            observed = self._stamped(observed, await self._settle(client, observed, wanted.timeout))
        if self.table.reread:
            observed = await client.run(self._after, client, observed, wanted)
        return Observed(observed.id, public(observed.attributes))

    async def update(self, client: Aws, recorded: ResourceState, desired: Desired) -> Observed:
        wanted = self.named(client, desired, recorded)
        self._check(wanted)
        changed = self.changed(recorded.attributes, wanted.attributes)
        raw = await self.change(client, recorded, wanted, changed)
        keep = {k: v for k, v in recorded.attributes.items() if k in self.table.computed or k in self._stamps}
        observed = self._stamped(Observed(recorded.id, Map({**self._defaults(), **keep, **wanted.attributes})), raw)
        if self.table.reread:
            observed = await client.run(self._after, client, observed, wanted)
        return Observed(observed.id, public(observed.attributes))

    async def change(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> Raw:
        """Bring the object from ``recorded`` to ``desired``; ``changed`` names the attributes that differ. Gives what was last seen."""
        await client.run(self._change, client, recorded, desired, changed)
        plain = changed - {self.table.tags.attribute if self.table.tags else ""}
        if plain and self.table.states is not None and self.table.states.after_update:
            return await self._settle(client, Observed(recorded.id, recorded.attributes), desired.timeout)
        return {}

    async def delete(self, client: Aws, recorded: ResourceState) -> None:
        try:
            await client.run(self._delete, client, recorded)
        except NotFound:
            return
        finally:
            client.name_taken(self.table.type, recorded.id, gone=True)
        states = self.table.states
        if states is not None and states.until_gone:
            stuck = await self.until(
                client, Observed(recorded.id, Map()), frozenset({"DeleteFailed", "DELETE_FAILED"}), gone=True
            )
            if stuck is not None:
                raise Invalid(
                    f"{recorded.id} cannot be deleted: {await client.run(self._reason, client, recorded.id) or stuck['state']}"
                )

    async def find(self, client: Aws, desired: Desired, token: str) -> Observed | None:
        wanted = self.named(client, desired)
        found = await client.run(self._find, client, wanted, token)
        return None if found is None else Observed(found.id, public(found.attributes))

    async def adopt(self, client: Aws, id: str) -> Observed | None:
        return await client.run(self._adopt, client, id)

    def _parameters(self, client: Aws, operation: str, attributes: Map) -> dict[str, Any]:
        """The attributes that an operation takes, in its words."""
        shape = input_shape(self.table.service, operation)
        found: dict[str, Any] = {}
        for name, value in attributes.items():
            member = member_of(shape, name, self.table.names) if name in self._given else None
            if member is not None and value is not None:
                found[member] = to_api(shape.members[member], value, self.table.names)
        return found

    def _tokens(self, operation: str, token: str) -> dict[str, str]:
        """The client token, where the operation takes one."""
        members = input_shape(self.table.service, operation).members
        return {name: token for name, m in members.items() if m.metadata.get("idempotencyToken")}

    def _all_tags(self, client: Aws, desired: Desired, token: str) -> dict[str, str]:
        assert self.table.tags is not None
        own = tagging.written(self.table.tags, desired.attributes.get(self.table.tags.attribute))
        ours = tagging.marks(client.project, client.environment, desired.address, token)
        return {**client.config.default_tags, **own, **ours}

    def _marked(self, client: Aws, desired: Desired, token: str) -> Map:
        """The attributes with the marks in a text, for types without tags."""
        if not self.table.mark:
            return desired.attributes
        text = desired.attributes.get(self.table.mark) or ""
        return Map(
            {
                **desired.attributes,
                self.table.mark: f"{text} [{tagging.mark(client.project, client.environment, desired.address, token)}]".lstrip(),
            }
        )

    def _make(self, client: Aws, desired: Desired, token: str) -> Observed:
        """Create it: one request, and what has to follow."""
        self._check(desired)
        table = self.table
        parameters = {**table.fixed, **self._parameters(client, table.create, self._marked(client, desired, token))}
        parameters.update(self._tokens(table.create, token))
        if table.tags is not None and table.tags.at_create:
            form = tagging.sent(table.tags.form, self._all_tags(client, desired, token))
            if table.tags.type:
                parameters["TagSpecifications"] = [{"ResourceType": table.tags.type, "Tags": form}]
            else:
                parameters[table.tags.at_create] = form
        answer = client.call(table.service, table.create, **parameters)
        made = dig(answer, table.made) if table.made else answer
        made = made if isinstance(made, Mapping) else answer
        id = str(dig(made, table.id) if table.id else self.id_of(client, desired.attributes))
        observed = self._observed(client, id, made, desired.attributes, answered=True)
        with_marks = half(observed)
        try:
            if table.tags is not None and not table.tags.at_create:
                self._tag(client, observed, self._all_tags(client, desired, token), frozenset())
            self._complete(client, desired, observed)
        except Failure as failure:
            failure.partial = failure.partial or with_marks
            raise
        return observed

    def _complete(self, client: Aws, desired: Desired, observed: Observed) -> None:
        """What has to follow the create request; a failure here leaves a half-made object."""

    def _find(self, client: Aws, desired: Desired, token: str) -> Observed | None:
        """By the name, and by the mark that the create left."""
        id = self.id_of(client, desired.attributes) or self._search(client, desired, token)
        raw = self._look(client, id) if id else None
        if raw is None or not self._is_mine(client, id, raw, desired, token):
            return None
        return self._complete_half(client, self._found(client, id, raw, desired), desired)

    def _found(self, client: Aws, id: str, raw: Raw, desired: Desired) -> Observed:
        observed = self._as_wanted(client, id, raw, desired.attributes)
        if self.table.tags is None:
            return observed
        name = self.table.tags.attribute
        shown = self._tags_shown(client, self._tags(client, observed, raw), desired.attributes.get(name, ()))
        return Observed(id, Map({**observed.attributes, name: shown}))

    def _complete_half(self, client: Aws, found: Observed, desired: Desired) -> Observed:
        """What was found, finished where the create had more to do."""
        return found

    def _is_mine(self, client: Aws, id: str, raw: Raw, desired: Desired, token: str) -> bool:
        if self.table.mark:
            return token in str(self._raw_mark(raw))
        if self.table.tags is None:
            return True
        observed = self._observed(client, id, raw, desired.attributes)
        return self._tags(client, observed, raw).get(tagging.OP) == token

    def _raw_mark(self, raw: Raw) -> str:
        wanted = self.table.names.get(self.table.mark, self.table.mark).lower()
        return str(next((v for k, v in raw.items() if k.lower() == wanted), ""))

    def _search(self, client: Aws, desired: Desired, token: str) -> str:
        """The id of what carries the token, where AWS gives the id; ``""``: nothing."""
        rows = client.listed(
            "resourcegroupstaggingapi",
            "GetResources",
            "ResourceTagMappingList",
            TagFilters=[{"Key": tagging.OP, "Values": [token]}],
        )
        return next((self.id_in(str(r["ResourceARN"])) for r in rows), "")

    def id_in(self, arn: str) -> str:
        """The id of the object that an ARN names."""
        return arn

    def _adopt(self, client: Aws, id: str) -> Observed | None:
        for name, value in self._keyed(self.table.read, id).items():
            for _, sentence in by_shape(input_shape(self.table.service, self.table.read).members[name], freeze(value), (name,)):
                raise Invalid(f"{id!r} is no id of a {self.table.type}: {sentence}")
        raw = self._look(client, id)
        if raw is None:
            return None
        observed = self._observed(client, id, raw, Map())
        silent = {n for n, a in self.schema.attributes.items() if a.write_only}
        seen = self._properties(client, id, raw, self._given - silent)
        attributes = {**observed.attributes, **{k: v for k, v in seen.items() if v is not None}}
        if self.table.tags is not None:
            attributes[self.table.tags.attribute] = self._tags_shown(client, self._tags(client, observed, raw), None)
        return Observed(id, Map(attributes))

    def _change(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> None:
        table = self.table
        tags = table.tags
        plain = changed - {tags.attribute if tags else ""}
        if plain and table.update:
            self._update(client, recorded, desired, plain)
        if tags is not None and tags.attribute in changed:
            self._retag(client, recorded, desired)

    def _update(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> None:
        table = self.table
        attributes = desired.attributes
        if table.mark and table.mark in changed:
            raw = self._look(client, recorded.id) or {}
            kept = self._raw_mark(raw)
            tail = kept[kept.rfind("[mlinfra") :] if "[mlinfra" in kept else ""
            attributes = Map({**attributes, table.mark: f"{attributes.get(table.mark) or ''} {tail}".strip()})
        parameters = {**self._parameters(client, table.update, attributes), **self._keyed(table.update, recorded.id)}
        parameters.update(self._tokens(table.update, f"{time.time_ns():032x}"))
        client.call(table.service, table.update, **parameters)

    def _retag(self, client: Aws, recorded: ResourceState, desired: Desired) -> None:
        tags = self.table.tags
        assert tags is not None
        before = tagging.written(tags, recorded.attributes.get(tags.attribute))
        own = tagging.written(tags, desired.attributes.get(tags.attribute))
        after = {**client.config.default_tags, **own}
        ours = {
            k: v for k, v in tagging.marks(client.project, client.environment, desired.address, "").items() if k != tagging.OP
        }
        add = {k: v for k, v in after.items() if before.get(k) != v}
        self._tag(client, Observed(recorded.id, recorded.attributes), {**add, **ours}, frozenset(before) - frozenset(after))

    def _delete(self, client: Aws, recorded: ResourceState) -> None:
        client.call(self.table.service, self.table.delete, **self._keyed(self.table.delete, recorded.id))

    async def _patiently(self, client: Aws, desired: Desired, token: str) -> Observed:
        """The create, repeated while a role that it names is too new to be known everywhere."""
        pause = 1.0
        while True:
            try:
                made = await client.run(self._make, client, desired, token)
                client.name_taken(self.table.type, made.id)
                return made
            except Failure as failure:
                self.place(failure, desired.attributes)
                if isinstance(failure, AlreadyExists) and not failure.import_id:
                    failure.import_id = self.id_of(client, desired.attributes)
                if not isinstance(failure, RoleNotUsable) or failure.partial is not None or not self._is_young(client, desired):
                    raise
            say("waiting until the new role is known everywhere")
            async with waiting():
                await asyncio.sleep(pause)
            pause = min(pause * 1.5, 8.0)

    def _is_young(self, client: Aws, desired: Desired) -> bool:
        now = time.monotonic()
        said = {str(v) for v in texts(desired.attributes)}
        return any(now - at < _YOUNG for name, at in client.made.items() if name in said)

    async def _refuse_taken(self, client: Aws, desired: Desired) -> None:
        """A create that would overwrite what is there is not sent where something is there."""
        id = self.id_of(client, desired.attributes)
        if await self.is_taken(client, id):
            raise AlreadyExists(
                f"{self.table.service}: there is a {id} already, which this spec did not make",
                import_id=id,
                path=(self.table.name,) if self.table.name in desired.attributes else (),
            )

    async def is_taken(self, client: Aws, id: str) -> bool:
        """Whether there is an object of this id. A list that is read to its end serves all creates of the next minute; where it is too
        long for that, the object itself is looked for."""
        if self.table.listing is not None:
            names = await client.run(client.names, self.table.type, lambda: self._list(client, _SHORT))
            if names is not None:
                return id in names
        return await client.run(self._look, client, id, client.insist) is not None
