"""What components offer to each other while a spec is lowered, and how references to it are replaced."""

from __future__ import annotations

from mlinfra.model.component import Component
from mlinfra.model.dataclass import replace
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.values import Map, Path, Ref, Value, leaves, references
from mlinfra.provider.contract import Lowered, span_at
from mlinfra.resolve import cel
from mlinfra.resolve.cel_errors import ExpressionError
from mlinfra.spec.suggest import did_you_mean


class NoSuchOutput(Exception):
    """A component does not have what is referred to."""

    def __init__(self, ref: Ref, message: str, hint: str) -> None:
        super().__init__(message)
        self.ref = ref
        self.message = message
        self.hint = hint


class Exports:
    """What the components that are lowered already offer: their kind, and their outputs, which are constants or Refs to native
    attributes."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[str, Lowered]] = {}

    def lookup(self, ref: Ref) -> Value:
        """What a component-level reference stands for. NoSuchOutput when the component does not have it."""
        kind, lowered = self.found[ref.address]
        path = ref.path
        output = path[0] if path else "kind"
        if output == "kind" or (output not in lowered.own and output not in lowered.outputs):
            own = {name: Ref(ref.address, (name,)) for name in lowered.own}
            exports = Map({**own, **lowered.outputs, "kind": kind})
        elif output in lowered.own:
            return ref  # the component's main resource has its address
        else:
            exports = lowered.outputs
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
        properties = cel.substitute(component.properties, self.lookup)
        if properties is not component.properties:
            changes = {"properties": properties, "model": None}
        if component.tags:
            changes["tags"] = cel.substitute(component.tags, self.lookup)
        if component.native:
            changes["native"] = cel.substitute(component.native, self.lookup)
        if component.lifecycle.replace_when:
            triggers = cel.substitute(component.lifecycle.replace_when, self.lookup)
            changes["lifecycle"] = replace(component.lifecycle, replace_when=triggers)
        return replace(component, **changes) if changes else component


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
