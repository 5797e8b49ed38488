"""How an object stands: its answer read in CloudFormation's words, and its tags."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import Map, Value
from mlinfra.provider.failures import NotFound
from mlinfra_aws.client import Aws
from mlinfra_aws.engine import tags as tagging
from mlinfra_aws.engine.answers import Raw, dig, time_text
from mlinfra_aws.engine.described import Described
from mlinfra_aws.engine.schema import offered
from mlinfra_aws.engine.translate import from_api, member_of, project
from mlinfra_aws.models import input_shape


class Seen(Described):
    """Reads objects. Steps in threads begin with an underscore and are synchronous."""

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

    def _observed(self, client: Aws, id: str, raw: Raw, wanted: Map, *, answered: bool = False) -> Observed:
        """The object's attributes: as ``wanted`` where the create ``answered`` (or no read tells them), else as it stands."""
        attributes: dict[str, Value] = self._defaults()
        if answered:
            attributes.update({k: v for k, v in wanted.items() if k in self.schema.attributes})
        for name, path in self.table.computed.items():
            attributes[name] = self._computed(client, id, name, path, raw)
        for stamp in self._stamps:
            attributes[stamp] = time_text(raw.get(stamp))
        if answered and self.table.states is not None:
            attributes["__state__"] = dig(raw, self.table.states.path)
        return Observed(id, Map(attributes))

    def _stamped(self, observed: Observed, raw: Raw) -> Observed:
        """With the time of the last change, where the last look told it."""
        told = {s: time_text(raw[s]) for s in self._stamps if raw.get(s)}
        return Observed(observed.id, Map({**observed.attributes, **told})) if told else observed

    def _computed(self, client: Aws, id: str, name: str, path: str, raw: Raw) -> Value:
        value = from_api(self.published, self.published.properties.get(name, {}), dig(raw, path))
        return "" if value is None else value

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
                found[name] = tagging.unmarked(found[name]) or None
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

    def _after(self, client: Aws, observed: Observed, desired: Desired) -> Observed:
        raw = self._look(client, observed.id, client.insist)
        if raw is None:
            return observed
        seen = self._observed(client, observed.id, raw, desired.attributes)
        return Observed(observed.id, Map({**observed.attributes, **{k: seen.attributes[k] for k in self.table.computed}}))

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
        return tagging.in_recorded_order(recorded, shown)

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
