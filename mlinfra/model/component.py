"""What the user asked for: portable components, with the place each was written at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from mlinfra.model.dataclass import dataclass
from mlinfra.model.diagnostic import Span
from mlinfra.model.values import EMPTY, Map, Path, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """The meta-settings of a resource, as in the spec's ``lifecycle``.

    protect         refuse to delete or replace it, also after its block is gone from the spec
    create_first    replace by creating the new one before the old one is deleted; None: as the type prefers
    ignore_changes  attribute names whose changes are left alone
    replace_when    values whose change forces replacement
    timeout         seconds for one operation; None: the type's own
    """

    protect: bool = False
    create_first: bool | None = None
    ignore_changes: tuple[str, ...] = ()
    replace_when: tuple[Value, ...] = ()
    timeout: float | None = None


DEFAULT_LIFECYCLE = Lifecycle()


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One component after resolve: variables, environment, modules and for_each are gone; Refs name other components.

    ``name``        its full address (``module.rag.vectors``, ``item["a"]``)
    ``named``       the address that its physical names are made from; ``""``: its own. Another one when it has moved
    ``kind``        portable (``bucket``) or native (``docker.network``)
    ``target``      provider instance: ``local``, ``aws``, ``aws.eu``
    ``properties``  the kind's own fields, frozen; may hold Ref, Expr and Secret
    ``model``       the portable kind's model of these very properties; None: not looked at, or not right. Who changes the
                    properties takes it away
    ``native``      settings merged into the lowered resources
    ``existing``    id of a thing that is only looked up
    ``span``        where the block starts; ``spans`` the place of every value below it, by path
    """

    kind: str
    name: str
    target: str
    named: str = ""
    properties: Map = EMPTY
    lifecycle: Lifecycle = DEFAULT_LIFECYCLE
    depends_on: tuple[str, ...] = ()
    description: str = ""
    tags: Map = EMPTY
    native: Map = EMPTY
    existing: str | None = None
    span: Span | None = field(default=None, compare=False)
    spans: Mapping[Path, Span] = field(default_factory=dict, compare=False, repr=False)
    model: Any = field(default=None, compare=False, repr=False)
