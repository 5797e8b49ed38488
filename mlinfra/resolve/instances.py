"""How often a block stands: ``for_each`` and ``enabled``, which must be known at plan time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, Literal

from mlinfra.model.dataclass import dataclass
from mlinfra.model.values import UNKNOWN, Expr, Map, Ref, Secret, Value, references
from mlinfra.resolve.problems import At, Problems
from mlinfra.spec.positions import YamlMap
from mlinfra.spec.words import describe

Key = str | int | None

_REASON = (
    "it decides how many resources there are, so it must be known at plan time; use variables or constants, "
    "or a for_each over keys that are written out"
)


@dataclass(frozen=True, slots=True)
class Instances:
    """``each`` gives ``each.key``/``each.value`` by instance key (None, with no ``each``, when there is no for_each).

    ``shape``     one · map (text keys) · list (indexes)
    ``disabled``  keys that ``enabled`` switched off
    ``broken``    the number cannot be known because of a problem that is already noted
    """

    shape: Literal["one", "map", "list"] = "one"
    each: Mapping[Key, Map | None] = field(default_factory=lambda: {None: None})
    disabled: frozenset[Key] = frozenset()
    broken: bool = False

    def gather(self, values: Mapping[Any, Value]) -> Value:
        """All instances' values as one: a Map, or a tuple in which null stands for what is not enabled."""
        if self.shape == "map":
            return Map({str(key): value for key, value in values.items()})
        size = max((k for k in (*self.each, *self.disabled) if isinstance(k, int)), default=-1) + 1
        return tuple(values.get(index) for index in range(size))


BROKEN = Instances(each={}, broken=True)
ONE = Instances()

Evaluate = Callable[[Any, At, Map | None], Value]


def expand(block_name: str, block: Any, node: YamlMap, evaluate: Evaluate, problems: Problems) -> Instances:
    """The instances of a resource or module block. What is wrong is noted."""
    found = ONE
    if block.has_for_each:
        value = evaluate(block.for_each, (node, "for_each"), None)
        found = _over(block_name, value, (node, "for_each"), problems)
    if block.enabled is True or found.broken:
        return found
    each: dict[Key, Map | None] = {}
    for key, item in found.each.items():
        wanted = evaluate(block.enabled, (node, "enabled"), item)
        if wanted is UNKNOWN:
            return BROKEN
        if isinstance(wanted, (Ref, Expr)):
            problems.add("expression.not_known", f"enabled of {block_name} {_waits_for(wanted)}", (node, "enabled"), _REASON)
            return BROKEN
        wanted = wanted.reveal() if isinstance(wanted, Secret) else wanted
        if not isinstance(wanted, bool):
            hint = "compare it, like ${vars.size > 0}"
            problems.add(
                "expression.type",
                f"enabled of {block_name} must be true or false, not {describe(wanted)}",
                (node, "enabled"),
                hint,
            )
            return BROKEN
        if wanted:
            each[key] = item
    return Instances(found.shape, each, frozenset(found.each) - frozenset(each))


def _over(name: str, value: Value, at: At, problems: Problems) -> Instances:
    if value is UNKNOWN:
        return BROKEN
    if isinstance(value, (Ref, Expr)):
        problems.add("expression.not_known", f"for_each of {name} {_waits_for(value)}", at, _REASON)
    elif isinstance(value, Secret):
        problems.add(
            "expression.sensitive", f"for_each of {name} is sensitive, and its keys would show in every address", at,
            "use a variable that is not sensitive for the keys",
        )  # fmt: skip
    elif isinstance(value, Map):
        if "" not in value:
            return Instances("map", {key: Map(key=key, value=item) for key, item in value.items()})
        problems.add("expression.bad_key", f"for_each of {name} has an empty key", at)
    elif not isinstance(value, tuple):
        problems.add("expression.type", f"for_each of {name} must be a map or a list, not {describe(value)}", at)
    elif value and all(isinstance(item, str) for item in value):
        twice = sorted({item for item in value if value.count(item) > 1}) if len(set(value)) < len(value) else []
        if not twice and "" not in value:
            return Instances("map", {item: Map(key=item, value=item) for item in value})
        message = f"for_each of {name} names {twice[0]!r} twice" if twice else f"for_each of {name} has an empty key"
        problems.add("expression.bad_key", message, at, "every entry makes one resource of that name")
    else:
        return Instances("list", {index: Map(key=index, value=item) for index, item in enumerate(value)})
    return BROKEN


def _waits_for(value: Value) -> str:
    names = sorted({str(ref) for ref in references(value)})
    return f"uses {', '.join(names)}, which is known only after apply"
