"""A native type as a table: which operations, which names, which states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mlinfra.model.values import EMPTY
from mlinfra_aws.engine.tags import Tags


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One list call that tells of many objects.

    ``id``     the member of an item that is the object's id
    ``gives``  ``all``: items are what the read answers. ``existence``: enough for objects that cannot change and are marked as ours.
               ``stamp``: enough when the item's ``stamp`` is as recorded
    ``status`` where an item tells its state, for waiting
    """

    operation: str
    items: str
    id: str
    gives: Literal["all", "existence", "stamp"] = "existence"
    stamp: str = ""
    status: str = ""
    parameters: Mapping[str, Any] = EMPTY


@dataclass(frozen=True, slots=True, kw_only=True)
class States:
    """Where the read answer tells a state, and what the states mean. States in neither set are waited for."""

    path: str
    ready: frozenset[str]
    failed: frozenset[str] = frozenset()
    reason: str = ""
    after_update: bool = True
    until_gone: bool = False
    limit: float = 3600.0
    pace: float = 15.0
    """Seconds between two looks, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One native type.

    ``name``       the property that names it, derived from the address where it is not given; ``""``: AWS gives an id
    ``key``        the parameter that reads, updates and deletes take the id in
    ``id``         where the create answer tells the id; ``""``: the name is the id
    ``made``       where the create answer holds the object; ``found`` the same of the read answer (``repositories.0``)
    ``computed``   attribute → where the object tells it; they must stand in both answers
    ``names``      property → what the API calls it, where that differs by more than upper and lower case
    ``fixed``      parameters of the create that are always the same
    ``only``       the properties that are offered; empty: all but ``without``
    ``reads``      write-only properties, by CloudFormation, that our read does tell
    ``volatile``   computed attributes that change by themselves
    ``secret``     properties that are never written down
    ``silent``     properties that no read tells (beside CloudFormation's write-only ones)
    ``immutable``  properties that cannot change beside the create-only ones, each with who says so
    ``upsert``     the create overwrites what is there: it is looked for first
    ``mark``       a text property that carries the marks where there are no tags
    ``reread``     the create answer does not suffice
    """

    type: str
    cloudformation: str
    service: str
    name: str = ""
    key: str = ""
    id: str = ""
    create: str
    read: str
    update: str = ""
    delete: str
    made: str = ""
    found: str = ""
    computed: Mapping[str, str] = EMPTY
    arn: str = ""
    names: Mapping[str, str] = EMPTY
    fixed: Mapping[str, Any] = EMPTY
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    extra: Mapping[str, Any] = EMPTY
    silent: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    secret: tuple[str, ...] = ()
    volatile: tuple[str, ...] = ()
    immutable: Mapping[str, str] = EMPTY
    tags: Tags | None = None
    listing: Listing | None = None
    states: States | None = None
    upsert: bool = False
    mark: str = ""
    reread: bool = False
    limit: int = 63
    alphabet: str = "a-z0-9"
    by_content: bool = False
    """Its derived name carries a digest of its content: it can never change, and its successor stands beside it."""
    holds_data: bool = False
    serves: bool = False
    costs: bool = False
    create_first: bool = False
    inside: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default=EMPTY)
    """Server-side defaults of properties that are read whether they were given or not: drift of them is seen."""
