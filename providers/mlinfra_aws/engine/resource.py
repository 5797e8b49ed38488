"""A native type as the engine calls it, made of its table. Types with a mind of their own override single steps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from mlinfra.model.cost import Cost
from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Schema
from mlinfra.model.values import Map, Path, Value, freeze, is_known
from mlinfra.provider.contract import Find
from mlinfra.provider.failures import AlreadyExists, Failure, Invalid, NotFound, Timeout
from mlinfra.provider.limiter import waiting
from mlinfra.provider.naming import physical_name
from mlinfra.provider.progress import say
from mlinfra_aws.client import Aws, input_shape
from mlinfra_aws.engine import tags as tagging
from mlinfra_aws.engine.checks import by_schema, by_shape, leaf_in
from mlinfra_aws.engine.published import Published
from mlinfra_aws.engine.schema import build, describe, offered
from mlinfra_aws.engine.table import Table
from mlinfra_aws.engine.translate import from_api, member_of, project, to_api
from mlinfra_aws.faults import RoleNotUsable

Raw = Mapping[str, Any]
"""An object as an API tells it."""

_SHORT = 5
"""Pages of a list that is worth reading to find out whether names are taken."""
_YOUNG = 120.0
"""Seconds after which a role that AWS cannot take on is no longer too new for it."""


class TableType:
    """One native type. Steps in threads begin with an underscore and are synchronous; what is ``async`` is called by the engine."""

    def __init__(self, table: Table) -> None:
        self.table = table

    # what it may hold

    @cached_property
    def published(self) -> Published:
        return describe(self.table)

    @cached_property
    def schema(self) -> Schema:
        return build(self.table, self.published, self.predict)

    def predict(self, attributes: Map) -> Mapping[str, Value]:
        """Computed attributes that are known before anything is made."""
        return {}

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        """Problems with the desired attributes, by CloudFormation's schema and by botocore's shapes."""
        problems: dict[Path, str] = {}
        properties = offered(self.table, self.published)
        for name, value in attributes.items():
            if value is not None and name in properties:
                for path, sentence in by_schema(self.published, properties[name], value, (name,)):
                    problems.setdefault(path, sentence)
        given = {k: v for k, v in attributes.items() if v is not None and k in properties}
        if not any(path == () for path in problems):
            for path, sentence in self.check_shapes(Map(given)):
                problems.setdefault(path, sentence)
        return list(problems.items())

    def check_shapes(self, attributes: Map) -> list[tuple[Path, str]]:
        """What the create operation's shape says against properties that it takes as they are."""
        shape = input_shape(self.table.service, self.table.create)
        found: list[tuple[Path, str]] = []
        for name, value in attributes.items():
            member = member_of(shape, name, self.table.names)
            if member is not None and name not in self.reshaped:
                found += by_shape(shape.members[member], value, (name,), self.table.names)
        return found

    def price(self, attributes: Map, settings: Map, find: Find) -> Cost | None:
        """What a month of it costs, where its type has a price."""
        from mlinfra_aws.prices import price

        return price(self.table.type, attributes, settings, find)

    reshaped: frozenset[str] = frozenset()
    """Properties that the create takes in another structure: only CloudFormation's schema checks them."""

    # what the engine calls

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
        return Observed(observed.id, _public(observed.attributes))

    async def update(self, client: Aws, recorded: ResourceState, desired: Desired) -> Observed:
        wanted = self.named(client, desired, recorded)
        self._check(wanted)
        changed = self.changed(recorded.attributes, wanted.attributes)
        raw = await self.change(client, recorded, wanted, changed)
        keep = {k: v for k, v in recorded.attributes.items() if k in self.table.computed or k in self._stamps}
        observed = self._stamped(Observed(recorded.id, Map({**self._defaults(), **keep, **wanted.attributes})), raw)
        if self.table.reread:
            observed = await client.run(self._after, client, observed, wanted)
        return Observed(observed.id, _public(observed.attributes))

    async def change(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> Raw:
        """Bring the object from ``recorded`` to ``desired``; ``changed`` names the attributes that differ. Gives what was last seen."""
        await client.run(self._change, client, recorded, desired, changed)
        plain = changed - {self.table.tags.attribute if self.table.tags else ""}
        if plain and self.table.states is not None and self.table.states.after_update:
            return await self._settle(client, Observed(recorded.id, recorded.attributes), desired.timeout)
        return {}

    def _stamped(self, observed: Observed, raw: Raw) -> Observed:
        """With the time of the last change, where the last look told it."""
        told = {s: _time(raw[s]) for s in self._stamps if raw.get(s)}
        return Observed(observed.id, Map({**observed.attributes, **told})) if told else observed

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
        return None if found is None else Observed(found.id, _public(found.attributes))

    async def adopt(self, client: Aws, id: str) -> Observed | None:
        return await client.run(self._adopt, client, id)

    # names

    def named(self, client: Aws, desired: Desired, recorded: ResourceState | None = None) -> Desired:
        """The desired attributes with the name filled in: the recorded one, or one that is derived from the address."""
        name = self.table.name
        if not name or desired.attributes.get(name) is not None:
            return desired
        if recorded is not None and recorded.attributes.get(name) is not None:
            derived = recorded.attributes[name]
        else:
            content = Map({k: v for k, v in desired.attributes.items() if k != "Tags"}) if self.table.by_content else None
            derived = physical_name(
                client.project, client.environment, desired.address,
                content=content, limit=self.table.limit, allowed=self.table.alphabet,
            )  # fmt: skip
        return Desired(
            address=desired.address,
            type=desired.type,
            attributes=Map({**desired.attributes, name: derived}),
            timeout=desired.timeout,
        )

    def id_of(self, client: Aws, attributes: Map) -> str:
        """The id where it is known before the create: the name. ``""``: AWS gives it."""
        return str(attributes[self.table.name]) if self.table.name and not self.table.id else ""

    # steps

    def _look(self, client: Aws, id: str, call: Callable[..., Any] | None = None) -> Raw | None:
        """The object by its id; None when there is none."""
        try:
            answer = (call or client.call)(self.table.service, self.table.read, **self._keyed(self.table.read, id))
        except NotFound:
            return None
        found = dig(answer, self.table.found) if self.table.found else answer
        return found if isinstance(found, Mapping) and found else None

    def _keyed(self, operation: str, id: str) -> dict[str, Any]:
        shape = input_shape(self.table.service, operation)
        key = self.table.key or member_of(shape, self.table.name, self.table.names) or self.table.name
        if key not in shape.members and key + "s" in shape.members:  # repositoryName, repositoryNames
            key += "s"
        elif key not in shape.members and key.removesuffix("s") in shape.members:
            key = key.removesuffix("s")
        member = shape.members.get(key)
        return {key: [id] if member is not None and member.type_name == "list" else id}

    def _parameters(self, client: Aws, operation: str, attributes: Map) -> dict[str, Any]:
        """The attributes that an operation takes, in its words."""
        shape = input_shape(self.table.service, operation)
        found: dict[str, Any] = {}
        for name, value in attributes.items():
            member = member_of(shape, name, self.table.names) if name in self._given else None
            if member is not None and value is not None:
                found[member] = to_api(shape.members[member], value, self.table.names)
        return found

    @cached_property
    def _given(self) -> frozenset[str]:
        names = set(offered(self.table, self.published))
        return frozenset(names - {self.table.tags.attribute}) if self.table.tags else frozenset(names)

    @cached_property
    def _stamps(self) -> frozenset[str]:
        return frozenset({self.table.listing.stamp}) if self.table.listing and self.table.listing.stamp else frozenset()

    def _defaults(self) -> dict[str, Value]:
        found = dict(self.table.defaults)
        if self.table.tags is not None:
            found[self.table.tags.attribute] = Map() if self.table.tags.written == "map" else ()
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
        return Map({**desired.attributes, self.table.mark: f"{text} [{mark(client, desired.address, token)}]".lstrip()})

    def _check(self, desired: Desired) -> None:
        """What was not known at plan time is checked before it is sent."""
        for path, sentence in self.validate(desired.attributes):
            raise Invalid(sentence, path=path)

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
        with_marks = _half(observed)
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

    def _observed(self, client: Aws, id: str, raw: Raw, wanted: Map, *, answered: bool = False) -> Observed:
        """The object's attributes: as ``wanted`` where the create ``answered`` (or no read tells them), else as it stands."""
        attributes: dict[str, Value] = self._defaults()
        if answered:
            attributes.update({k: v for k, v in wanted.items() if k in self.schema.attributes})
        for name, path in self.table.computed.items():
            attributes[name] = self._computed(client, id, name, path, raw)
        for stamp in self._stamps:
            attributes[stamp] = _time(raw.get(stamp))
        if answered and self.table.states is not None:
            attributes["__state__"] = dig(raw, self.table.states.path)
        return Observed(id, Map(attributes))

    def _computed(self, client: Aws, id: str, name: str, path: str, raw: Raw) -> Value:
        value = from_api(self.published, self.published.properties.get(name, {}), dig(raw, path))
        return "" if value is None else value

    def _is_ready(self, observed: Observed) -> bool:
        assert self.table.states is not None
        return observed.attributes.get("__state__") in self.table.states.ready

    def _properties(self, client: Aws, id: str, raw: Raw, names: frozenset[str]) -> dict[str, Value]:
        """The properties ``names`` of an object, in CloudFormation's words; None for what it has not."""
        found: dict[str, Value] = {}
        words = {member.lower(): member for member in raw}
        for name in names:
            told = words.get(self.table.names.get(name, name).lower()) or words.get(name.lower(), "")
            value = raw.get(told)
            if value in (None, "", [], {}) and name not in self.table.defaults:
                found[name] = None
            else:
                fragment = offered(self.table, self.published).get(name, {})
                found[name] = from_api(self.published, fragment, value, self.table.names)
            if name == self.table.mark and isinstance(found[name], str):
                found[name] = unmarked(found[name]) or None
        return found

    def _as_wanted(self, client: Aws, id: str, raw: Raw, wanted: Map) -> Observed:
        """The object as it stands, as far as ``wanted`` speaks of it."""
        shown = self._observed(client, id, raw, wanted)
        asked = frozenset(k for k in wanted if k in self._given) | frozenset(self.table.defaults)
        silent = {k for k in asked if self.schema.attributes[k].write_only}
        seen = self._properties(client, id, raw, asked - silent)
        attributes = {**shown.attributes}
        for name in asked - silent:
            attributes[name] = project(wanted[name], seen.get(name)) if name in wanted else seen.get(name)
        attributes.update({k: wanted[k] for k in silent if k in wanted})
        return Observed(id, Map(attributes))

    def _read(self, client: Aws, recorded: ResourceState) -> Observed | None:
        return self._read_with(client, recorded, client.call)

    def _read_with(self, client: Aws, recorded: ResourceState, call: Callable[..., Any]) -> Observed | None:
        raw = self._look(client, recorded.id, call)
        return None if raw is None else self._seen(client, recorded, raw)

    def _seen(self, client: Aws, recorded: ResourceState, raw: Raw) -> Observed:
        observed = self._as_wanted(client, recorded.id, raw, recorded.attributes)
        if self.table.tags is None:
            return observed
        found = self._tags_seen(client, observed, raw, recorded.attributes)
        return Observed(observed.id, Map({**observed.attributes, self.table.tags.attribute: found}))

    def _tags_seen(self, client: Aws, observed: Observed, raw: Raw, wanted: Map) -> Value:
        """The user's tags as they stand. The sweep is believed where it agrees with what is recorded, else they are asked for."""
        tags = self.table.tags
        assert tags is not None
        recorded = wanted.get(tags.attribute)
        if not tags.inside:
            swept = (client.tagged() or {}).get(self.arn_of(client, observed))
            if swept is not None:
                told = self._tags_shown(client, swept, recorded)
                if told == recorded:
                    return recorded
        return self._tags_shown(client, self._tags(client, observed, raw), recorded)

    def _tags_shown(self, client: Aws, world: Mapping[str, str], recorded: Value) -> Value:
        tags = self.table.tags
        assert tags is not None
        wanted = tagging.written(tags, recorded)
        shown = tagging.shown(tags, tagging.users(world, client.config.default_tags, wanted))
        return project_tags(recorded, shown)

    def arn_of(self, client: Aws, observed: Observed) -> str:
        return str(observed.attributes.get(self.table.arn, "")) if self.table.arn else observed.id

    def _tags(self, client: Aws, observed: Observed, raw: Raw) -> dict[str, str]:
        """Every tag of the object, marks included."""
        tags = self.table.tags
        assert tags is not None
        if tags.inside:
            return tagging.told(dig(raw, tags.inside))
        of = self.arn_of(client, observed) if tags.of == "arn" else observed.id
        try:
            return tagging.told(client.insist(self.table.service, tags.list, **{tags.by: of}).get(tags.items))
        except NotFound:
            return {}

    def _tag(self, client: Aws, observed: Observed, add: Mapping[str, str], remove: frozenset[str]) -> None:
        tags = self.table.tags
        assert tags is not None
        of = self.arn_of(client, observed) if tags.of == "arn" else observed.id
        whom = {tags.by: [of] if tags.by == "Resources" else of}
        if remove:
            gone = [{"Key": k} for k in sorted(remove)] if tags.keys == "Tags" else sorted(remove)
            client.insist(self.table.service, tags.remove, **{**whom, tags.keys: gone})
        if add:
            client.insist(self.table.service, tags.add, **{**whom, tags.param: tagging.sent(tags.form, add)})
        client.forget_tags()

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

    def changed(self, recorded: Map, wanted: Map) -> frozenset[str]:
        """The attributes that differ, those that are wanted no more included."""
        names = {*recorded, *wanted} & {*self._given, *((self.table.tags.attribute,) if self.table.tags else ())}
        wanted = Map({**self._defaults(), **wanted})
        found = set()
        for name in names:
            if recorded.get(name) != wanted.get(name) and not (name == self.table.name and name not in wanted):
                found.add(name)
        return frozenset(found)

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

    def _after(self, client: Aws, observed: Observed, desired: Desired) -> Observed:
        raw = self._look(client, observed.id, client.insist)
        if raw is None:
            return observed
        seen = self._observed(client, observed.id, raw, desired.attributes)
        return Observed(observed.id, Map({**observed.attributes, **{k: seen.attributes[k] for k in self.table.computed}}))

    # waiting

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

    def place(self, failure: Failure, attributes: Map) -> None:
        """Say which attribute a failure is about, where that can be told."""
        if failure.path:
            return
        if isinstance(failure, AlreadyExists) and self.table.name in attributes:
            failure.path = (self.table.name,)
            return
        failure.path = leaf_in(attributes, failure.message)
        if not failure.path and isinstance(failure, RoleNotUsable):
            named = [n for n in attributes if n.endswith(("RoleArn", "RoleARN", "Role"))]
            failure.path = (named[0],) if named else ()

    def _is_young(self, client: Aws, desired: Desired) -> bool:
        now = time.monotonic()
        texts = {str(v) for v in _texts(desired.attributes)}
        return any(now - at < _YOUNG for name, at in client.made.items() if name in texts)

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

    def _list(self, client: Aws, most: int) -> tuple[dict[str, Raw], bool]:
        """Items by id, of at most ``most`` pages; whether that is all of them."""
        listing = self.table.listing
        assert listing is not None
        found: dict[str, Raw] = {}
        pages = client.pages_of(self.table.service, listing.operation, listing.items, **listing.parameters)
        for number, page in enumerate(pages):
            if number >= max(most, 1):
                return found, False
            for item in page:
                found[str(dig(item, listing.id))] = item
        return found, True

    async def _settle(self, client: Aws, observed: Observed, patience: float | None) -> Raw:
        """Wait until the object is ready. It failed: Invalid, with what stands as its half."""
        states = self.table.states
        assert states is not None
        raw = await self.until(client, observed, states.ready | states.failed, patience)
        if raw is not None and raw["state"] in states.failed:
            reason = await client.run(self._reason, client, observed.id)
            failure = Invalid(f"{observed.id} is {raw['state']}: {reason or 'AWS gives no reason'}", partial=_half(observed))
            self.place(failure, observed.attributes)
            raise failure
        return raw or {}

    async def until(
        self, client: Aws, observed: Observed, ends: frozenset[str], patience: float | None = None, *, gone: bool = False
    ) -> Raw | None:
        """Look again and again until the object is in one of these states, or (``gone``) is no more. Many that are waited for at
        once are looked at together. Holds no slot meanwhile."""
        states = self.table.states
        assert states is not None
        limit = patience or states.limit
        until = time.monotonic() + limit
        pause = 0.0
        while True:
            async with waiting():
                await asyncio.sleep(pause)
                raw: Raw | None = await client.batcher.ask(
                    f"{self.table.type} state", observed.id, lambda ids: self._states(client, ids)
                )
            if raw is None and gone:
                return None
            state = raw["state"] if raw is not None else ""
            if state in ends:
                return raw
            if time.monotonic() > until:
                raise Timeout(
                    f"{observed.id} is still {state or 'not there'} after {limit / 60:.0f} minutes", partial=_half(observed)
                )
            say(f"{observed.id} is {state}" if state else f"{observed.id} is not there yet")
            pause = min(states.pace, pause * 1.6 + 0.5)

    async def _states(self, client: Aws, ids: frozenset[str]) -> Mapping[str, Any]:
        states, listing = self.table.states, self.table.listing
        assert states is not None
        found: dict[str, Any] = {}
        if listing is not None and listing.status and len(ids) > 1:
            listed, _ = await client.run(self._list, client, len(ids))
            found = {i: {"state": str(dig(r, listing.status) or ""), **r} for i, r in listed.items() if i in ids}
        left = sorted(ids - found.keys())
        looked = await asyncio.gather(*[client.run(self._look, client, id, client.insist) for id in left])
        found.update({i: {"state": self.state_of(raw), **raw} for i, raw in zip(left, looked, strict=True) if raw is not None})
        return found

    def state_of(self, raw: Raw) -> str:
        """The state that a read answer tells."""
        assert self.table.states is not None
        return str(dig(raw, self.table.states.path) or "")

    def _reason(self, client: Aws, id: str) -> str:
        states = self.table.states
        raw = self._look(client, id, client.insist) if states is not None and states.reason else None
        return str(dig(raw, states.reason) or "") if raw is not None and states is not None else ""


class ListedType(TableType):
    """A type of which one list call tells many at once."""

    async def read_many(self, client: Aws, recorded: Sequence[ResourceState]) -> Mapping[str, Observed]:
        listed, whole = await client.run(self._list, client, len(recorded))
        tagged = await client.run(client.tagged) if self._sweeps(recorded) else None
        found: dict[str, Observed] = {}
        unclear: list[ResourceState] = []
        for r in recorded:
            item = listed.get(r.id)
            if item is None:
                if not whole:
                    unclear.append(r)
            elif (seen := self._by_item(client, r, item, tagged)) is not None:
                found[r.id] = seen
            else:
                unclear.append(r)
        read = await asyncio.gather(*[client.run(self._read_listed, client, r, listed.get(r.id)) for r in unclear])
        found.update({r.id: seen for r, seen in zip(unclear, read, strict=True) if seen is not None})
        return {r.id: found[r.id] for r in recorded if r.id in found}

    def _sweeps(self, recorded: Sequence[ResourceState]) -> bool:
        return self.table.tags is not None and not self.table.tags.inside

    def _by_item(
        self, client: Aws, r: ResourceState, item: Raw, tagged: Mapping[str, Mapping[str, str]] | None
    ) -> Observed | None:
        """The object by what the list tells; None: it has to be read."""
        listing, tags = self.table.listing, self.table.tags
        assert listing is not None
        swept = None
        if tags is not None and not tags.inside:
            swept = (tagged or {}).get(self.arn_of(client, Observed(r.id, r.attributes)))
            if swept is None or self._tags_shown(client, swept, r.attributes.get(tags.attribute)) != r.attributes.get(
                tags.attribute
            ):
                return None
        if listing.gives == "all":
            return self._seen(client, r, item)
        if listing.gives == "stamp" and (
            not r.attributes.get(listing.stamp) or _time(item.get(listing.stamp)) != r.attributes[listing.stamp]
        ):
            return None
        if listing.gives == "existence" and tags is not None and swept is None:
            return None
        kept = {k: v for k, v in r.attributes.items() if k in self.schema.attributes}
        return Observed(r.id, Map(kept))

    def _read_listed(self, client: Aws, r: ResourceState, item: Raw | None) -> Observed | None:
        listing = self.table.listing
        assert listing is not None
        if item is not None and listing.gives == "all":
            return self._seen(client, r, item)
        return self._read_with(client, r, client.insist)


def dig(tree: Any, path: str) -> Any:
    """``dig(answer, "repositories.0.arn")``; None where it does not lead."""
    for step in path.split(".") if path else ():
        if isinstance(tree, Mapping):
            tree = tree.get(step)
        elif isinstance(tree, (list, tuple)) and step.isdigit() and int(step) < len(tree):
            tree = tree[int(step)]
        else:
            return None
    return tree


def mark(client: Aws, address: str, token: str) -> str:
    return f"mlinfra {client.project}/{client.environment}/{tagging.tag_value(address)} {token}"


def unmarked(text: str) -> str:
    """The text without the marks that were added to it."""
    at = text.rfind("[mlinfra ")
    return text[:at].rstrip() if at >= 0 else text


def project_tags(recorded: Value, shown: Value) -> Value:
    """The world's tags in the recorded order where they are the same set."""
    if isinstance(recorded, tuple) and isinstance(shown, tuple) and sorted(map(repr, recorded)) == sorted(map(repr, shown)):
        return recorded
    if isinstance(recorded, tuple) and isinstance(shown, tuple):
        order = {repr(t.get("Key")): i for i, t in enumerate(recorded) if isinstance(t, Mapping)}
        return tuple(sorted(shown, key=lambda t: (order.get(repr(t.get("Key")), len(order)), repr(t))))
    return shown


def _half(observed: Observed) -> Observed:
    return Observed(observed.id, _public(observed.attributes))


def _public(attributes: Map) -> Map:
    return Map({k: v for k, v in attributes.items() if k != "__state__"}) if "__state__" in attributes else attributes


def _time(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value or "")


def _texts(value: Value) -> list[Value]:
    if isinstance(value, Mapping):
        return [t for v in value.values() for t in _texts(v)]
    if isinstance(value, tuple):
        return [t for v in value for t in _texts(v)]
    return [value] if is_known(value) else []
