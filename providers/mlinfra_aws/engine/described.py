"""What a type may hold, by its table: schema, checks, names, what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from mlinfra.model.cost import Cost
from mlinfra.model.resource import Desired, ResourceState
from mlinfra.model.schema import Schema
from mlinfra.model.values import Map, Path, Value
from mlinfra.provider.contract import Find
from mlinfra.provider.failures import AlreadyExists, Failure, Invalid
from mlinfra.provider.naming import physical_name
from mlinfra_aws.client import Aws
from mlinfra_aws.engine.checks import by_schema, by_shape, leaf_in
from mlinfra_aws.engine.published import Published
from mlinfra_aws.engine.schema import build, describe, offered
from mlinfra_aws.engine.table import Table
from mlinfra_aws.engine.translate import member_of
from mlinfra_aws.faults import RoleNotUsable
from mlinfra_aws.models import input_shape


class Described:
    """A native type by its table, as far as it can be told without asking anybody."""

    reshaped: frozenset[str] = frozenset()
    """Properties that the create takes in another structure: only CloudFormation's schema checks them."""

    def __init__(self, table: Table) -> None:
        self.table = table

    @cached_property
    def published(self) -> Published:
        return describe(self.table)

    @cached_property
    def schema(self) -> Schema:
        return build(self.table, self.published, self.predict)

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

    def _check(self, desired: Desired) -> None:
        """What was not known at plan time is checked before it is sent."""
        for path, sentence in self.validate(desired.attributes):
            raise Invalid(sentence, path=path)

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

    def changed(self, recorded: Map, wanted: Map) -> frozenset[str]:
        """The attributes that differ, those that are wanted no more included."""
        names = {*recorded, *wanted} & {*self._given, *((self.table.tags.attribute,) if self.table.tags else ())}
        wanted = Map({**self._defaults(), **wanted})
        found = set()
        for name in names:
            if recorded.get(name) != wanted.get(name) and not (name == self.table.name and name not in wanted):
                found.add(name)
        return frozenset(found)

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
