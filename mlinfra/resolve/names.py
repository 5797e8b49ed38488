"""What names mean: ``vars.x``, ``env``, ``project``, ``each.key``, ``module.m.out``, and every resource by its own name."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from mlinfra.model.address import instance
from mlinfra.model.dataclass import dataclass
from mlinfra.model.values import UNKNOWN, Expr, Map, Path, Ref, Secret, SecretRef, Value
from mlinfra.resolve import cel, stacks
from mlinfra.resolve.expressions import NameProblem, evaluate
from mlinfra.resolve.instances import Instances
from mlinfra.resolve.problems import At
from mlinfra.resolve.template import SECRET
from mlinfra.spec.suggest import did_you_mean
from mlinfra.state import secret_sources

if TYPE_CHECKING:
    from mlinfra.resolve.scope import Scope

_OWN = ("vars", "env", "project", "each", "module", "stacks")


@dataclass(frozen=True, slots=True)
class ScopeNames:
    """The names of a scope; ``each`` inside a ``for_each``."""

    scope: Scope
    each: Map | None = None

    def evaluate(self, written: Any, at: At) -> Value:
        """The frozen tree of a value as written where these names hold; problems are noted."""
        return evaluate(written, at, self, self.scope.world.problems)

    def find(self, chain: Path, *, alone: bool) -> tuple[Path, Value]:
        root = str(chain[0])
        if root == SECRET:
            return chain[:2], _secret(str(chain[1]))
        block = self.scope.spec.resources.get(root)
        if block is not None:
            return self._instance_of(chain, 1, self.scope.instances(root), root, alone)
        if root == "vars":
            return self._follow(chain, 2, self._variable(chain))
        if root == "each":
            return self._each(chain)
        if root == "module":
            return self._module(chain, alone)
        if root in ("env", "project"):
            return self._follow(chain, 1, self.scope.world.environment if root == "env" else self.scope.world.project)
        if root == "stacks":
            return self._stack(chain)
        if root in self.scope.spec.unreadable:
            return chain, UNKNOWN
        options = [*self.scope.spec.resources, *_OWN]
        hint = ""
        if root in self.scope.spec.variables:
            hint = f"did you mean vars.{root}?"
        elif root in self.scope.spec.modules:
            hint = f"did you mean module.{root}?"
        raise NameProblem(
            "reference.unknown_name", f"there is no resource named {root!r}", hint or did_you_mean(root, options, allowed="names")
        )

    def _variable(self, chain: Path) -> Value:
        variables = self.scope.spec.variables
        if len(chain) < 2:
            hint = did_you_mean("", variables, allowed="variables")
            raise NameProblem("reference.unknown_name", "vars alone has no value; write vars.NAME", hint)
        name = chain[1]
        if name in variables:
            return self.scope.variable(str(name))
        if f"vars.{name}" in self.scope.spec.unreadable:
            return UNKNOWN
        hint = did_you_mean(str(name), variables, allowed="variables") or f"declare it under variables: {name}: {{}}"
        raise NameProblem("reference.unknown_variable", f"there is no variable {name!r}", hint)

    def _each(self, chain: Path) -> tuple[Path, Value]:
        if self.each is None:
            raise NameProblem("reference.unknown_name", "each has a meaning only in a block with for_each")
        if len(chain) < 2:
            return chain, self.each
        if chain[1] not in self.each:
            hint = did_you_mean(str(chain[1]), self.each, allowed="each has")
            raise NameProblem("reference.unknown_name", f"each has no {chain[1]!r}", hint)
        return self._follow(chain, 2, self.each[str(chain[1])])

    def _module(self, chain: Path, alone: bool) -> tuple[Path, Value]:
        modules = self.scope.spec.modules
        if len(chain) < 2:
            hint = did_you_mean("", modules, allowed="modules")
            raise NameProblem("reference.unknown_name", "module alone has no value; write module.NAME.OUTPUT", hint)
        name = str(chain[1])
        if name not in modules:
            if f"module.{name}" in self.scope.spec.unreadable:
                return chain, UNKNOWN
            hint = did_you_mean(name, modules, allowed="modules")
            raise NameProblem("reference.unknown_name", f"there is no module {name!r}", hint)
        found = self.scope.module_instances(name)
        label = f"module.{name}"
        if found.broken:
            return chain, UNKNOWN
        if found.shape == "one" and None in found.each:
            return self._outputs(chain, 2, name, None)
        if len(chain) > 2 and found.shape != "one" and chain[2] in found.each:
            return self._outputs(chain, 3, name, chain[2])
        if len(chain) > 2 or found.shape == "one":
            children = self.scope.children(name).values()
            return self._missing(chain, 2, found, label, alone, {n for c in children for n in c.spec.outputs})
        keys = {key: self._all_outputs(name, key) for key in found.each}
        return chain, found.gather(keys)

    def _outputs(self, chain: Path, used: int, name: str, key: str | int | None) -> tuple[Path, Value]:
        child = self.scope.children(name).get(key)
        if child is None:
            return chain, UNKNOWN
        if len(chain) == used:
            return chain, self._all_outputs(name, key)
        output = str(chain[used])
        if output not in child.spec.outputs:
            hint = did_you_mean(output, child.spec.outputs, allowed="outputs")
            raise NameProblem("reference.unknown_output", f"module {name!r} has no output {output!r}", hint)
        return self._follow(chain, used + 1, child.output(output))

    def _stack(self, chain: Path) -> tuple[Path, Value]:
        known: Collection[str] = self.scope.spec.stacks or ()
        if self.scope.module:
            message = "a module knows no other stacks; they are the root spec's"
            raise NameProblem(
                "reference.unknown_name", message, "hand the value in as an input: with: {…: ${stacks.NAME.OUTPUT}}"
            )
        if len(chain) < 2 or chain[1] not in known:
            name = str(chain[1]) if len(chain) > 1 else ""
            hint = did_you_mean(name, known, allowed="stacks") if known else "name it under stacks: in the spec"
            what = f"there is no stack {name!r}" if name else "stacks alone has no value; write stacks.NAME.OUTPUT"
            raise NameProblem("reference.unknown_name", what, hint)
        name = str(chain[1])
        outputs = self.scope.stack(name)
        if len(chain) > 2:
            return self._follow(chain, 3, stacks.output(outputs, name, str(chain[2])))
        if isinstance(outputs, Map):
            return chain, Map({n: stacks.output(outputs, name, n) for n in outputs})
        return chain, UNKNOWN

    def _all_outputs(self, name: str, key: str | int | None) -> Value:
        child = self.scope.children(name).get(key)
        return Map({n: child.output(n) for n in child.spec.outputs}) if child is not None else UNKNOWN

    def _instance_of(self, chain: Path, used: int, found: Instances, name: str, alone: bool) -> tuple[Path, Value]:
        if found.broken:
            return chain, UNKNOWN
        if found.shape == "one" and None in found.each:
            return chain, self.scope.world.reference(self.scope.address(name, None), chain[used:])
        if found.shape != "one" and len(chain) > used and chain[used] in found.each:
            return chain, self.scope.world.reference(self.scope.addresses(name)[chain[used]], chain[used + 1 :])
        if found.shape == "one" or len(chain) > used:
            outputs = self.scope.world.outputs_of(self.scope.spec.resources[name].kind) or {}
            return self._missing(chain, used, found, name, alone, outputs)
        return chain, self.scope.whole(name)

    def _missing(
        self, chain: Path, used: int, found: Instances, label: str, alone: bool, outputs: Collection[str]
    ) -> tuple[Path, Value]:
        """What is not enabled is null: an expression may test it, or have another branch. Everything else is a mistake."""
        key = None if found.shape == "one" else chain[used]
        if key in found.disabled:
            rest = used if key is None else used + 1
            if alone and len(chain) > rest:
                shown = label if key is None else instance(label, key)
                hint = f"{shown} == null tells; or make this resource depend on the same condition"
                raise NameProblem("reference.disabled", f"{shown} is not enabled, so it has no values", hint)
            return chain[:rest], None
        keys = [str(k) for k in found.each]
        hint = did_you_mean(str(key), keys, allowed="keys") if keys else "it has no instances"
        if found.each and key in outputs:
            example = instance(label, next(k for k in found.each if k is not None))
            hint = f"it has for_each: write {example}.{key} (keys: {', '.join(keys[:10])})"
        raise NameProblem("reference.unknown_instance", f"{label} has no instance {key!r}", hint)

    def _follow(self, chain: Path, used: int, value: Value) -> tuple[Path, Value]:
        """Goes on from ``value``, which is that of ``chain[:used]``, as far as it can."""
        if isinstance(value, Secret):
            path, inner = self._follow(chain, used, value.reveal())
            return path, cel.secret(inner)
        while used < len(chain) and not isinstance(value, Expr):
            if value is UNKNOWN:
                return chain, UNKNOWN
            if isinstance(value, Ref):
                break
            try:
                value = cel.descend(value, chain[used : used + 1])
            except KeyError:
                return chain[:used], value
            used += 1
        if isinstance(value, Ref):
            return chain, self.scope.world.reference(value.address, value.path + chain[used:])
        return chain[:used], value


def _secret(source: str) -> Secret:
    """What ``secret("…")`` stands for until plan or apply fetches it. NameProblem when there can be no such source."""
    scheme, colon, _ = source.partition(":")
    if not colon or scheme not in secret_sources.SCHEMES:
        hint = did_you_mean(scheme, secret_sources.SCHEMES, allowed="schemes")
        if not colon:
            hint = f'write where it is, like secret("{secret_sources.example()}")'
        shown = f"there is no secret source {scheme!r}" if colon else "this does not say where the secret is"
        raise NameProblem("secret.unknown_scheme", shown, hint)
    if not secret_sources.is_written_well(source):
        hint = f'like secret("{secret_sources.example(scheme)}")'
        raise NameProblem("secret.bad_source", f"{scheme}: is followed by something else in secret(…)", hint)
    return Secret(SecretRef(source))
