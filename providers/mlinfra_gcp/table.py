"""What the engine must know of one native type: a row. Everything else stands in the discovery document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from mlinfra.model.change import Risk
from mlinfra.model.schema import Attribute, Schema, TypeName
from mlinfra.model.values import Map, Path, Value
from mlinfra.provider.bodies import Property
from mlinfra_gcp.documents import Document, document
from mlinfra_gcp.shape import alike

Scope = Literal["location", "zone", "global", "project", "bucket"]
Body = dict[str, Any]
_GENERAL = {"kind", "selfLink", "etag", "fingerprint", "creationTimestamp"}
"""Properties that no person writes, though not every document says so."""


@dataclass(frozen=True, kw_only=True)
class Setter:
    """A property that has a method of its own: Compute Engine's ``setLabels``, ``resize``. ``body(value, live)`` is its request."""

    method: str
    body: Callable[[Any, Body], Any]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One native type.

    ``collection``  the methods' common name in the document ``doc``; ``schema`` the body's
    ``scope``       what it lies in: a location, a zone, the whole project (``global`` in Compute Engine's paths)
    ``chosen``      the query parameter that takes the name; ``name`` or ``fullname``: it stands in the body; empty: Google chooses
    ``wrap``        the body's name inside the create request, with the name's field beside it
    ``marks``       where the marks of ownership go: the path of a map of labels, or ``("description",)``, with ``limit`` characters
    ``changes``     how it is changed: ``mask`` (PATCH with updateMask), ``merge`` (PATCH with what differs), empty: not at all
    ``setters``     properties with a method of their own
    ``fixed``       immutable properties of which the document does not say so, each with the reason
    ``request_id``  the API takes a requestId (a UUID): a repeated create answers with the first one's operation
    ``search``      the filter of ``list`` that finds a token, where Google chooses the name
    ``extra``       computed attributes: name → function of the body
    ``predict``     those of them (and of the defaults) that are known from the attributes alone
    ``tail``        the last part of the id, where it isn't the name
    ``allowed_by``  the permission that creating it needs, where it is not named as the method is
    ``ready``       None when the object has settled, else what it is doing; raises a Failure when it never will
    """

    type: str
    doc: str
    collection: str
    schema: str
    scope: Scope
    chosen: str = "name"
    create: str = "create"
    wrap: tuple[str, str] | None = None
    marks: Path = ("labels",)
    limit: int = 2000
    changes: Literal["mask", "merge", ""] = "mask"
    setters: Mapping[str, Setter] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    defaults: Mapping[str, Value] = field(default_factory=dict)
    allowed_by: str = ""
    request_id: bool = False
    search: str = ""
    delete_query: Mapping[str, Any] = field(default_factory=dict)
    listed: str = ""
    extra: Mapping[str, Callable[[Body], Value]] = field(default_factory=dict)
    predict: Callable[[Map], Mapping[str, Value]] | None = None
    tail: Callable[[Map], str] | None = None
    ready: Callable[[Body], str | None] | None = None
    adds: Mapping[str, Attribute] = field(default_factory=dict)
    assess: Callable[[Map, Map], Risk] | None = None
    before_delete: Callable[[Any, str, Body], Awaitable[None]] | None = None
    name_pattern: str = ""
    holds_data: bool = False
    serves: bool = False
    costs: bool = False
    runs: bool = False
    create_first: bool = False
    inside: tuple[str, ...] = ()
    description: str = ""

    @property
    def document(self) -> Document:
        return document(self.doc)

    @property
    def folder(self) -> str:
        """The collection's own name in a path: ``endpoints``."""
        return self.collection.rpartition(".")[2]

    @property
    def place(self) -> str:
        """The attribute that says where it lies, or nothing."""
        return {"location": "location", "zone": "zone"}.get(self.scope, "")

    @property
    def create_name(self) -> str:
        """Under this name annotations say what a create requires."""
        return f"{self.document.service}.{self.collection}.{self.create}"

    @property
    def permission(self) -> str:
        """The permission that creating it needs: ``compute.disks.create``."""
        verb = "create" if self.create == "insert" else self.create
        return self.allowed_by or f"{self.document.service}.{self.folder}.{verb}"

    @cached_property
    def properties(self) -> Mapping[str, Property]:
        """What a person may write of the body."""
        own = {"name", "project", "id", *self.hidden, *_GENERAL, *((self.place,) if self.place else ())}
        return {n: p for n, p in self.document.properties(self.schema).items() if n not in own and not p.get("output")}

    @cached_property
    def schema_of_attributes(self) -> Schema:
        attributes: dict[str, Attribute] = {}
        where = "its place in Google's resource name"
        if self.scope != "bucket":
            attributes["project"] = Attribute(type="string", computed=True, immutable=True, source=where)
        else:
            attributes["project"] = Attribute(type="string", computed=True, immutable=True, source="the bucket's project")
        if self.place:
            attributes[self.place] = Attribute(type="string", computed=True, immutable=True, source=where)
        if self.chosen:
            attributes["name"] = Attribute(
                type="string", required=True, immutable=True, source=f"the name of {self.document.cited}"
            )
        for name, prop in self.properties.items():
            attributes[name] = self._attribute(name, prop)
        attributes.update(self.adds)
        attributes["id"] = Attribute(type="string", computed=True, read_only=True)
        for name in self.extra:
            attributes[name] = Attribute(computed=True, read_only=True)
        return Schema(
            attributes=attributes,
            predict=self._predict,
            holds_data=self.holds_data,
            serves=self.serves,
            costs=self.costs,
            runs=self.runs,
            create_first=self.create_first,
            inside=self.inside,
            named_by="name" if self.chosen else "",
            description=self.description,
        )

    def identity(self, attributes: Mapping[str, Value]) -> str | None:
        """The id: Google's relative resource name. None while a part of it is not known."""
        name = self.tail(Map(attributes)) if self.tail else attributes.get("name")
        parts = [attributes.get("project"), attributes.get(self.place) if self.place else "", name]
        if not all(isinstance(p, str) for p in parts) or not name:
            return None
        if self.scope == "bucket":
            return str(name)
        return f"{self.parent(attributes)}/{self.folder}/{name}"

    def parent(self, attributes: Mapping[str, Value]) -> str:
        project = f"projects/{attributes['project']}"
        if self.scope == "location":
            return f"{project}/locations/{attributes['location']}"
        if self.scope == "zone":
            return f"{project}/zones/{attributes['zone']}"
        return f"{project}/global" if self.scope == "global" else project

    def _predict(self, attributes: Map) -> Mapping[str, Value]:
        found: dict[str, Value] = {}
        identity = self.identity(attributes) if self.chosen else None
        if identity is not None:
            found["id"] = identity
        return {**found, **(self.predict(attributes) if self.predict else {})}

    def _attribute(self, name: str, prop: Property) -> Attribute:
        note = prop.get("immutable", "")
        source = self.fixed.get(name, "")
        if note and not source:
            source = f"{note.rstrip('.')} ({self.document.cited}, {self.schema}.{name})"
        if not source and not self.changes and name not in self.setters:
            source = f"{self.document.cited}: {self.collection} has no patch"
        required = prop.get("required", False)
        needed = self.create_name in required if isinstance(required, list) else bool(required)
        return Attribute(
            type=_type_of(prop),
            required=needed and name not in self.defaults,
            immutable=bool(source),
            source=source,
            same=alike,
        )


def _type_of(prop: Property) -> TypeName:
    if prop.get("format") in ("int64", "uint64"):
        return "any"  # a number for people, a text in JSON
    return _TYPES.get(prop.get("type", ""), "map" if "ref" in prop else "any")


_TYPES: Mapping[str, TypeName] = {
    "string": "string",
    "boolean": "boolean",
    "array": "list",
    "object": "map",
    "number": "number",
    "integer": "integer",
}
