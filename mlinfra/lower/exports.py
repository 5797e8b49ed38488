"""What components offer to each other while a spec is lowered, and how references to it are replaced."""

from __future__ import annotations

import re

from mlinfra.model.component import Component
from mlinfra.model.dataclass import replace
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.values import Map, Path, Ref, Value, leaves, references
from mlinfra.provider.contract import span_at
from mlinfra.resolve import cel
from mlinfra.resolve.cel_errors import ExpressionError
from mlinfra.spec.suggest import did_you_mean

_INSTANCE = re.compile(r'(?P<bare>.*[a-z0-9_])\[(?:"(?P<key>(?:[^"\\]|\\.)*)"|(?P<index>\d+))\]\Z')


class NoSuchOutput(Exception):
    """A component does not have what is referred to."""

    def __init__(self, ref: Ref, message: str, hint: str) -> None:
        super().__init__(message)
        self.ref = ref
        self.message = message
        self.hint = hint


class Exports:
    """The outputs of the components that are lowered already: constants, or Refs to native attributes."""

    def __init__(self) -> None:
        self.found: dict[str, Map] = {}

    def lookup(self, ref: Ref) -> Value:
        """What a component-level reference stands for. NoSuchOutput when the component does not have it."""
        exports, path = self.found[ref.address], ref.path
        if len(path) == 1 and path[0] in exports:  # as nearly all are: an output itself, and not a part of it
            return exports[path[0]]
        try:
            return cel.descend(exports, path)
        except KeyError as error:
            missing = str(error.args[0])
            above = _above(exports, path)
            options = [k for k in above if k != "kind"] if isinstance(above, Map) else []
            raise NoSuchOutput(
                ref,
                f"{ref.address} has no output {missing!r}",
                did_you_mean(missing.rpartition(".")[2], options, allowed="it has"),
            ) from None

    def replaced(self, component: Component) -> Component:
        """The component with every reference to another component replaced. NoSuchOutput, ExpressionError."""
        changes: dict[str, Value] = {}
        for name in ("properties", "tags", "native"):
            old = getattr(component, name)
            if old:
                new = cel.substitute(old, self.lookup)
                if new is not old:
                    changes[name] = new
        triggers = component.lifecycle.replace_when
        if triggers:
            new = cel.substitute(triggers, self.lookup)
            if new is not triggers:
                changes["lifecycle"] = replace(component.lifecycle, replace_when=new)
        return replace(component, **changes) if changes else component

    def grouped(self) -> dict[str, Map]:
        """The exports by component address, and under the bare name of a for_each its instances by key."""
        groups: dict[str, dict[str, Map]] = {}
        for address, exports in self.found.items():
            keyed = _INSTANCE.match(address) if address.endswith("]") else None
            if keyed:
                key = keyed["index"] or re.sub(r"\\(.)", r"\1", keyed["key"])
                groups.setdefault(keyed["bare"], {})[key] = exports
        return {**{bare: Map(each) for bare, each in groups.items()}, **self.found}


def explain(error: NoSuchOutput | ExpressionError, component: Component) -> Diagnostic:
    """The error as a problem of ``component``, at the place of the value at fault."""
    path = _place(error, component.properties)
    if isinstance(error, NoSuchOutput):
        code, message = "reference.unknown_output", error.message
    else:
        code, message = error.code, f"{error.source}: {error.message}" if error.source else error.message
    return Diagnostic(
        code=code, message=message, hint=error.hint, span=span_at(component, path), address=component.name, path=path
    )


def _place(error: NoSuchOutput | ExpressionError, properties: Map) -> Path:
    for path, leaf in leaves(properties):
        if isinstance(error, NoSuchOutput):
            if any(ref == error.ref for ref in references(leaf)):
                return path
        elif getattr(leaf, "source", None) == error.source:
            return path
    return ()


def _above(exports: Map, path: Path) -> Value:
    for end in range(len(path) - 1, -1, -1):
        try:
            return cel.descend(exports, path[:end])
        except KeyError:
            continue
    return None
