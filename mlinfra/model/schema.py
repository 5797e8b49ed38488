"""What the engine must know of a native type to diff it: attributes and their nature."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Literal

from mlinfra.model.dataclass import dataclass
from mlinfra.model.values import Map, Value

TypeName = Literal["string", "integer", "number", "boolean", "list", "map", "any"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One top-level attribute of a native type.

    required    the user (or the lowering) must give it
    computed    the provider gives it; also ``True`` beside an optional input that has a server-side default
    read_only   computed, and no input: a spec that gives it is refused
    immutable   a change replaces the resource; ``source`` says who says so and is cited by the plan
    fixed       the same for parts of it: where below it (map keys, list indexes left out) → who says so
    sensitive   never written: state keeps a keyed digest, plans print ``(sensitive)``
    write_only  sent but never read back: not compared with the world, only with what was recorded
    unordered   a list whose order means nothing
    same        says whether two different-looking values are the same (``same(recorded, desired)``)
    volatile    computed and changes by itself (``last_seen``): never reported as drift, never a reason to act
    """

    type: TypeName = "any"
    required: bool = False
    computed: bool = False
    read_only: bool = False
    immutable: bool = False
    fixed: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    sensitive: bool = False
    write_only: bool = False
    unordered: bool = False
    same: Callable[[Value, Value], bool] | None = None
    volatile: bool = False
    source: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The schema of a native type.

    ``predict(attributes)`` returns the computed attributes that are already known before create or update: a name, a URI,
    ``status: running``. It sees the desired attributes, in which UNKNOWN may stand; it must be pure and must not raise.
    A predicted value that differs from the world is a change like any other: this is how a dead process is repaired.

    On create, computed attributes that are not predicted are unknown. On update they keep their recorded value, except where
    ``runs`` is set and an attribute of ``run_inputs`` changed: then they are unknown.

    ``keeps(recorded, wanted)`` says which computed attributes such a run will leave as they are, in whole or in part (UNKNOWN leaves
    for the rest): outputs of steps that the change does not reach.

    ``runs``        create and update run the user's code: the plan says *run*
    ``run_inputs``  the attributes whose change runs it again; empty: all of them
    ``holds_data``  deleting or replacing loses data: the plan says so, ``protect`` environments refuse
    ``serves``      deleting, or replacing without create_first, interrupts traffic
    ``costs``       exists for money
    ``virtual``     lives in the state alone: no intent is journalled, no read is needed
    ``create_first``  replace by building the new one beside the old whenever names allow it (immutable, content-named objects)
    ``tagged``      ``tagged(attributes, tags)`` gives the attributes with a component's ``tags`` added, in the type's own form; None: it
                    takes none
    ``open``        attributes that are not named here may be given too: the type's own rules check them
    ``lag``         seconds for which the cloud may not show yet what was made: what is not found is looked for again after them
    ``inside``      the attributes that say in which other resource it lies (the server's URI, the bucket's name): when that one is
                    gone or replaced, so is this; when it moved, this moved along
    ``follows``     those of ``inside`` that only point at something: when a successor of that is made beside it, this moves over to
                    the successor in place (an alias), and shares its fate otherwise
    ``named_by``    the attribute that names the object: two of one name cannot stand side by side, so that a replacement which
                    keeps it is never made first by ``create_first`` above
    """

    attributes: Mapping[str, Attribute]
    version: int = 1
    predict: Callable[[Map], Mapping[str, Value]] | None = None
    keeps: Callable[[Map, Map], Mapping[str, Value]] | None = None
    runs: bool = False
    run_inputs: tuple[str, ...] = ()
    holds_data: bool = False
    serves: bool = False
    costs: bool = False
    virtual: bool = False
    create_first: bool = False
    inside: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()
    named_by: str = ""
    lag: float = 0.0
    tagged: Callable[[Map, Map], Map] | None = None
    open: bool = False
    description: str = field(default="")
