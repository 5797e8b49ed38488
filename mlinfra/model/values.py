"""Frozen value trees: what an attribute may hold between the spec and the state.

A tree is built of scalars, ``tuple`` and :class:`Map`; the functions below ask for ``dict`` and not for ``Mapping``, which takes ten
times as long. Four leaves stand for what is not (yet) a plain value:
:class:`Ref` (another resource's attribute), :class:`Expr` (CEL over such attributes), :class:`Secret` (a value that must
never be written) and :data:`UNKNOWN` (known only after apply). In state a secret is a :class:`SecretDigest`, or a
:class:`Sealed` where it can be read again. A secret that is still to be fetched is ``Secret(SecretRef(source))``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn, TypeAlias

from mlinfra.model import redaction
from mlinfra.model.dataclass import dataclass

Path: TypeAlias = tuple[str | int, ...]
"""Where in a tree: map keys and list indexes from the root."""

Value: TypeAlias = Any
"""A frozen tree: None, bool, int, float, str, tuple[Value, ...], Map, Ref, Expr, Secret, SecretRef, SecretDigest or
UNKNOWN."""


class Map(dict[str, Any]):
    """A mapping that cannot change after it is built.

    It is a ``dict`` so that ``json.dumps`` and equality run at C speed; every method that would change it raises TypeError.
    """

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a Map is frozen; build a new one with Map({**old, ...})")

    __setitem__ = __delitem__ = clear = pop = popitem = setdefault = update = __ior__ = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __repr__(self) -> str:
        return f"Map({dict.__repr__(self)})"

    def __reduce__(self) -> tuple[type[Map], tuple[dict[str, Any]]]:
        return (Map, (dict(self),))


EMPTY = Map()

SCALARS: frozenset[type] = frozenset({str, int, float, bool, type(None)})
"""The types of the leaves that are plain values and hold nothing: what walks a tree tells them by ``type(child) in SCALARS`` before it
calls itself, since most of every tree is such leaves."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to an attribute of another resource (after lowering) or to an output of a component (before).

    ``path`` may be empty: the whole object.
    """

    address: str
    path: Path = ()

    def __str__(self) -> str:
        return self.address + path_text(self.path, leading_dot=True)


@dataclass(frozen=True, slots=True)
class Expr:
    """An expression that waits for values: ``source`` is what the user wrote between the quotes, with its ``${…}``.

    ``bindings`` holds, for every chain of names that the expression reads (``("raw", "uri")``), the value to put there:
    a :class:`Ref` before it is known, a plain value after. ``mlinfra.resolve.cel`` evaluates it.
    """

    source: str
    bindings: tuple[tuple[Path, Value], ...]

    def __str__(self) -> str:
        return self.source


class Secret:
    """A value that must never be written or shown. Compares by value; prints as ``(sensitive)``. What it holds is taken out
    of every message from then on (see :mod:`mlinfra.model.redaction`)."""

    __slots__ = ("_value",)

    def __init__(self, value: Value) -> None:
        self._value = value
        redaction.remember(value)

    def reveal(self) -> Value:
        """The value itself, for the one call that needs it."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __repr__(self) -> str:
        return "(sensitive)"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is never serialised")


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret lies (``env:NAME``, ``awssm:NAME#key``): no secret itself. Fetched by plan and apply."""

    source: str

    def __str__(self) -> str:
        return f'secret("{self.source}")'


@dataclass(frozen=True, slots=True, eq=False)
class SecretDigest:
    """What state keeps of a secret: a keyed digest, so that a change is seen and the value is not. ``digest`` is hex, with
    ``ID.`` before it that names the key (nothing: the key of an unencrypted state)."""

    digest: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretDigest) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(("SecretDigest", self.digest))

    def __repr__(self) -> str:
        return "(sensitive)"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sealed(SecretDigest):
    """A secret that an encrypted state keeps: its digest, by which it is compared, and its ``ciphertext`` (base64)."""

    ciphertext: str


class _Unknown:
    __slots__ = ()

    def __repr__(self) -> str:
        return "(known after apply)"

    def __reduce__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()
"""A value that is known only after apply."""

DEFERRED = (Ref, Expr, SecretRef, _Unknown)
"""The leaf types whose value is not known yet; for isinstance."""


def freeze(value: Any) -> Value:
    """Turn dicts and lists, however deep, into Maps and tuples. Leaves are returned as they are."""
    kind = type(value)
    if kind in SCALARS or kind is Map or kind is Ref:
        return value
    if isinstance(value, (list, tuple)):
        return tuple([v if type(v) in SCALARS else freeze(v) for v in value])
    if isinstance(value, (dict, Mapping)):
        return Map({k: v if type(v) in SCALARS else freeze(v) for k, v in value.items()})
    return value


def thaw(value: Value) -> Any:
    """Turn Maps and tuples back into plain dicts and lists (for SDKs that insist on them)."""
    if isinstance(value, dict):
        return {k: thaw(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [thaw(v) for v in value]
    return value


def transform(value: Value, leaf: Callable[[Value], Value]) -> Value:
    """The same tree with ``leaf`` applied to everything that is neither Map nor tuple; shares what did not change."""
    kind = type(value)
    if kind in SCALARS:
        return leaf(value)
    if isinstance(value, dict):
        new = {k: transform(v, leaf) for k, v in value.items()}
        return value if all(new[k] is value[k] for k in value) and kind is Map else Map(new)
    if isinstance(value, (tuple, list)):
        items = tuple([transform(v, leaf) for v in value])
        return value if kind is tuple and all(a is b for a, b in zip(items, value, strict=True)) else items
    return leaf(value)


def reveal(value: Value) -> Value:
    """The tree with its Secrets opened: for the one who checks or connects, never to be kept."""
    return transform(value, lambda leaf: reveal(leaf.reveal()) if isinstance(leaf, Secret) else leaf)


def leaves(value: Value, path: Path = ()) -> Iterator[tuple[Path, Value]]:
    """Every leaf of the tree with its path, in order. Empty Maps and tuples count as leaves."""
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from leaves(child, (*path, key))
    elif isinstance(value, (tuple, list)) and value:
        for index, child in enumerate(value):
            yield from leaves(child, (*path, index))
    else:
        yield path, value


def put(tree: Value, path: Path, value: Value) -> Value:
    """The tree with ``value`` at ``path``; missing maps on the way are made."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(tree, tuple) and isinstance(step, int):
        return (*tree[:step], put(tree[step], rest, value), *tree[step + 1 :])
    inside = tree if isinstance(tree, Map) else EMPTY
    return Map({**inside, str(step): put(inside.get(str(step)), rest, value)})


def references(value: Value) -> list[Ref]:
    """Every reference in the tree, those inside expressions included; may repeat."""
    found: list[Ref] = []
    _gather(value, found)
    return found


def _gather(value: Value, found: list[Ref]) -> None:
    if type(value) is Ref:
        found.append(value)
    for child in _inside(value):
        kind = type(child)
        if kind is Ref:
            found.append(child)
        elif kind not in SCALARS:
            _gather(child, found)


def _inside(value: Value) -> Iterable[Value]:
    """What hangs below a node of a tree; below Expr and Secret too, which are leaves to everybody else."""
    kind = type(value)
    if kind is Ref:
        return ()
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, (tuple, list)):
        return value
    if kind is Expr:
        return [bound for _, bound in value.bindings]
    return (value.reveal(),) if kind is Secret else ()


def is_known(value: Value) -> bool:
    """True when no Ref, Expr or UNKNOWN is left anywhere in the tree."""
    return not holds(value, DEFERRED)


def holds(value: Value, kinds: type | tuple[type, ...]) -> bool:
    """Whether a leaf of one of these types stands in the tree, inside expressions and Secrets too."""
    if type(value) is Map:
        inside: Iterable[Value] = value.values()
    elif isinstance(value, kinds):
        return True
    else:
        inside = _inside(value)
    for child in inside:  # noqa: SIM110  no generator: asked thrice of every resource
        if type(child) not in SCALARS and holds(child, kinds):
            return True
    return False


def within(value: Value) -> Iterator[Value]:
    """Every leaf of the tree, those that expressions and Secrets hold included, and these themselves; plain values left out."""
    if type(value) in SCALARS:
        return
    if not isinstance(value, (dict, tuple, list)):
        yield value
    for child in _inside(value):
        yield from within(child)


def secret_refs(value: Value) -> Iterator[SecretRef]:
    """Every secret in the tree that is still to be fetched; may repeat."""
    return (leaf for leaf in within(value) if type(leaf) is SecretRef) if holds(value, SecretRef) else iter(())


def lookup(value: Value, path: Path) -> Value:
    """The value at ``path``; KeyError when there is none. A deferred value on the way is returned as it stands:
    ``UNKNOWN`` stays unknown, a ``Ref`` is extended by the rest of the path."""
    for index, step in enumerate(path):
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            if value is UNKNOWN:
                return UNKNOWN
            if isinstance(value, Ref):
                return Ref(value.address, value.path + path[index:])
            raise KeyError(path_text(path)) from None
    return value


def path_text(path: Path, *, leading_dot: bool = False) -> str:
    """``("steps", "clean", 0)`` as people write it: ``steps.clean[0]``."""
    out: list[str] = []
    for step in path:
        if isinstance(step, int):
            out.append(f"[{step}]")
        elif step.isidentifier():
            out.append(f".{step}" if out or leading_dot else step)
        else:
            out.append(f'["{step}"]')
    return "".join(out)
