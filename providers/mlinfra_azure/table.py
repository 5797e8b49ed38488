"""What the engine must know of one native type: a row. Everything else stands in ARM's published types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from mlinfra.model.change import Risk
from mlinfra.model.schema import Attribute, Schema, TypeName
from mlinfra.model.values import Map, Path, Value
from mlinfra.provider.bodies import Property
from mlinfra_azure.contracts import Contract, contract
from mlinfra_azure.shape import alike, same_place

Body = dict[str, Any]
Marks = Literal["tags", "properties.tags", "properties.metadata", "properties.description", "parent"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One native type.

    ``arm``        its type in ARM; the contract of that name says what may be written
    ``within``     the attribute that holds the ARM id of what it lies in
    ``below``      what stands between that id and the name: ``blobServices/default/containers``; derived from ``arm`` where that is enough
    ``only``       the name, where there can be one alone (``default``)
    ``home``       what it lies in where ``within`` is left out: the settings' resource group, or their subscription
    ``marks``      where the marks of ownership go; ``parent``: into the tags of what it lies in
    ``limit``      characters that the description holds, where it carries the marks
    ``changes``    how it is changed: ``put`` (the whole, as it stands and with what is wanted), ``patch`` (what differs), empty: not at all
    ``fixed``      what never changes, each with the reason: an attribute, or a part of one (``storageProfile.imageReference``)
    ``outputs``    computed attributes: name → where in the answer
    ``predict``    those of them that are known from the attributes alone
    ``hidden``     properties that a type of its own looks after
    ``secret``     attributes that are never written down
    ``unread``     what Azure does not give back: an attribute, or a part of one (``osProfile.customData``)
    ``etag``       the type enforces If-Match
    ``listed``     its parent lists it; what is read together is read by one list
    ``name_rule``  what Azure takes as a name: a pattern, and the same in words
    """

    type: str
    arm: str
    within: str = "parent"
    below: str = ""
    only: str = ""
    home: Literal["group", "subscription", ""] = ""
    marks: Marks = "tags"
    limit: int = 1024
    changes: Literal["put", "patch", ""] = "put"
    fixed: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    predict: Callable[[Map], Mapping[str, Value]] | None = None
    hidden: tuple[str, ...] = ()
    secret: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    volatile: tuple[str, ...] = ()
    etag: bool = False
    listed: bool = True
    name_rule: tuple[str, str] = ("", "")
    adds: Mapping[str, Attribute] = field(default_factory=dict)
    delete_query: Mapping[str, Any] = field(default_factory=dict)
    assess: Callable[[Map, Map], Risk] | None = None
    holds_data: bool = False
    serves: bool = False
    costs: bool = False
    runs: bool = False
    create_first: bool = False
    description: str = ""

    @cached_property
    def contract(self) -> Contract:
        found = contract(self.arm)
        assert found is not None, f"there is no contract of {self.arm}"
        return found

    @property
    def version(self) -> str:
        return self.contract.version

    @property
    def segment(self) -> str:
        """What stands between the parent's id and the name."""
        if self.below:
            return self.below
        return f"providers/{self.arm}" if self.home else self.arm.rpartition("/")[2]

    @cached_property
    def places(self) -> Mapping[str, Path]:
        """The attributes that a person may write, each with its place in the body."""
        return {n: p for n, p in self.contract.places.items() if n not in self.hidden and n != "etag"}

    @property
    def located(self) -> bool:
        return "location" in self.places

    @property
    def tags_at(self) -> str:
        """The attribute in which the user's own tags stand; nothing where the type has none."""
        return "tags" if "tags" in self.places else ""

    def identity(self, attributes: Mapping[str, Value]) -> str | None:
        """The ARM id. None while a part of it is not known."""
        parent, name = attributes.get(self.within), self.only or attributes.get("name")
        if not isinstance(parent, str) or not isinstance(name, str) or not name:
            return None
        return f"{parent.rstrip('/')}/{self.segment}/{name}"

    def parent_of(self, identity: str) -> str:
        """The id of what it lies in, from its own."""
        return identity[: identity.lower().rindex(f"/{self.segment.lower()}/")]

    def place_of(self, identity: str) -> str:
        """Where it is listed."""
        return identity.rpartition("/")[0]

    def is_own(self, identity: str) -> bool:
        """Whether an id can be one of this type."""
        head, found, name = identity.lower().rpartition(f"/{self.segment.lower()}/")
        return bool(found and name) and "/" not in name and head.startswith("/") and (not self.only or name == self.only.lower())

    @cached_property
    def schema_of_attributes(self) -> Schema:
        attributes: dict[str, Attribute] = {}
        where = "its place in the resource id"
        attributes[self.within] = Attribute(
            type="string", required=not self.home, computed=bool(self.home), immutable=True, same=alike, source=where
        )
        called = f"the name of {self.contract.cited}"
        attributes["name"] = Attribute(
            type="string", required=not self.only, computed=bool(self.only), immutable=True, same=alike, source=called
        )
        for name, place in self.places.items():
            attributes[name] = self._attribute(name, place)
        attributes.update(self.adds)
        attributes["id"] = Attribute(type="string", computed=True, read_only=True)
        for name in self.outputs:
            attributes[name] = Attribute(computed=True, read_only=True, volatile=name in self.volatile)
        return Schema(
            attributes=attributes,
            predict=self._predict,
            holds_data=self.holds_data,
            serves=self.serves,
            costs=self.costs,
            runs=self.runs,
            create_first=self.create_first,
            inside=(self.within,),
            named_by="name",
            tagged=self._tagged if self.tags_at else None,
            description=self.description,
        )

    def _tagged(self, attributes: Map, tags: Map) -> Map:
        own = attributes.get("tags")
        return Map({**attributes, "tags": Map({**tags, **(own if isinstance(own, Mapping) else {})})})

    def _predict(self, attributes: Map) -> Mapping[str, Value]:
        found: dict[str, Value] = {}
        identity = self.identity(attributes)
        if identity is not None:
            found["id"] = identity
        if self.only:
            found["name"] = self.only
        return {**found, **(self.predict(attributes) if self.predict else {})}

    def _attribute(self, name: str, place: Path) -> Attribute:
        prop = self.contract.attribute(name)
        located = name == "location"
        source = self.fixed.get(name, "") or (f"an object never moves: location of {self.contract.cited}" if located else "")
        if not source and not self.changes:
            source = f"{self.contract.cited} never changes"
        below = {tuple(k.split(".")[1:]): why for k, why in self.fixed.items() if k.startswith(f"{name}.")}
        needed = bool(prop.get("required")) and (place[0] != "properties" or bool(self.contract.inner.get("required", True)))
        return Attribute(
            type=_type_of(prop),
            required=needed and not located,
            computed=located,
            immutable=bool(source),
            fixed={} if source else below,
            sensitive=name in self.secret,
            write_only=name in self.unread,
            same=same_place if located else alike,
            source=source,
        )


def _type_of(prop: Property) -> TypeName:
    if "ref" in prop or "props" in prop or "map" in prop or "variants" in prop:
        return "map"
    return _TYPES.get(prop.get("type", ""), "any")


_TYPES: Mapping[str, TypeName] = {
    "string": "string",
    "boolean": "boolean",
    "array": "list",
    "object": "map",
    "number": "number",
    "integer": "integer",
}
