"""The root spec, or one instance of a module: what its names mean, worked out when somebody asks.

Everything is lazy, because order says nothing in a spec: a module's input may need another module's output, which may need
the first one's. What needs itself is found and reported with its circle.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from mlinfra.model.address import in_module, instance
from mlinfra.model.values import UNKNOWN, Map, Ref, Value, freeze
from mlinfra.resolve import stacks
from mlinfra.resolve.expressions import NameProblem, evaluate
from mlinfra.resolve.instances import BROKEN, ONE, Instances, Key, expand
from mlinfra.resolve.names import ScopeNames
from mlinfra.resolve.problems import At, span_of
from mlinfra.resolve.variables import Given, checked, module_values
from mlinfra.resolve.world import World
from mlinfra.spec.document import ModuleBlock, ResourceBlock, Spec

MAX_MODULE_DEPTH = 16


class Scope:
    """``module`` is the address prefix (``""``, ``module.rag``); ``above`` the folders of the modules around, outermost first;
    ``at`` where it is called; ``depends_on`` addresses that everything in it depends on (see Component); ``call`` the names of
    the module blocks around."""

    def __init__(
        self,
        world: World,
        spec: Spec,
        *,
        module: str = "",
        above: tuple[FilePath, ...] = (),
        at: At = None,
        depends_on: tuple[str, ...] = (),
        call: str = "",
    ) -> None:
        self.world = world
        self.spec = spec
        self.module = module
        self.above = above
        self.at = at
        self.depends_on = depends_on
        self.call = call
        self.names = ScopeNames(self)
        self.given: Mapping[str, Given] = {}
        self._variables: dict[str, Value] = {}
        self._outputs: dict[str, Value] = {}
        self._stacks: dict[str, Value] = {}
        self._instances: dict[str, Instances] = {}
        self._addresses: dict[str, dict[Key, str]] = {}
        self._children: dict[str, dict[Key, Scope]] = {}
        self._whole: dict[str, Value] = {}

    def evaluate(self, written: Any, at: At, each: Map | None = None) -> Value:
        """The frozen tree of a value as written in this scope; problems are noted."""
        return self.names_with(each).evaluate(written, at)

    def names_with(self, each: Map | None) -> ScopeNames:
        """The names inside a block's instance."""
        return self.names if each is None else ScopeNames(self, each)

    def variable(self, name: str) -> Value:
        """The value of a declared variable. NameProblem when it needs itself."""
        if name not in self._variables:
            with self.world.computing(("vars", self.module, name), self._label(f"vars.{name}")):
                self._variables[name] = self._variable(name)
        return self._variables[name]

    def _variable(self, name: str) -> Value:
        variable = self.spec.variables[name]
        problems = self.world.problems
        given = self.given.get(name)
        if given is None and variable.has_default:
            given = Given(variable.default, "its default", variable.span, names=self.names)
        if given is None:
            if self.module:
                self.world.problems.add(
                    "variable.missing", f"{self.module} needs the input {name!r}", self.at, f"add it under with: {name}: …"
                )
            else:
                hint = f"give it with --var {name}=…, MLINFRA_VAR_{name}, a --var-file, or the environment's variables"
                problems.add("variable.missing", f"variable {name!r} has no value", variable.span, hint)
            return UNKNOWN
        value = freeze(given.value) if given.names is None else evaluate(given.value, given.at, given.names, problems)
        return checked(variable, value, given, problems)

    def output(self, name: str) -> Value:
        """The value of a declared output. NameProblem when it needs itself."""
        if name not in self._outputs:
            output = self.spec.outputs[name]
            with self.world.computing(("output", self.module, name), self._label(f"output {name}")):
                self._outputs[name] = self.evaluate(output.value, self._place_of_output(name))
        return self._outputs[name]

    def stack(self, name: str) -> Value:
        """All outputs of another stack. NameProblem when it needs itself."""
        if name not in self._stacks:
            with self.world.computing(("stacks", name), f"stacks.{name}"):
                self._stacks[name] = stacks.read(self, name)
        return self._stacks[name]

    def _place_of_output(self, name: str) -> At:
        for node in self.spec.nodes:
            block = node.get("outputs")
            if isinstance(block, dict) and name in block:
                return (block[name], "value") if isinstance(block[name], dict) and "value" in block[name] else (block, name)  # type: ignore[return-value]
        return self.spec.outputs[name].span

    def instances(self, name: str) -> Instances:
        """The instances of a resource block. NameProblem when it needs itself."""
        found = self._instances.get(name)
        if found is None:
            block = self.spec.resources[name]
            found = self._expand(name, block)
            if found is ONE:
                self.world.kinds[self.address(name, None)] = block.kind
                return found
            addresses = self._addresses[name] = {key: self.address(name, key) for key in found.each}
            for address in addresses.values():
                self.world.kinds[address] = block.kind
        return found

    def addresses(self, name: str) -> Mapping[Key, str]:
        """The full addresses of the instances of a resource block, by key. NameProblem when it needs itself."""
        return {None: self.address(name, None)} if self.instances(name) is ONE else self._addresses[name]

    def module_instances(self, name: str) -> Instances:
        """The instances of a module block. NameProblem when it needs itself."""
        label = f"module.{name}"
        return self._instances.get(label) or self._expand(label, self.spec.modules[name])

    def _expand(self, label: str, block: ResourceBlock | ModuleBlock) -> Instances:
        found = ONE
        if block.has_for_each or block.enabled is not True:
            with self.world.computing(("each", self.module, label), self._label(label)):
                found = expand(label, block, block.node, self.evaluate, self.world.problems)
        self._instances[label] = found
        return found

    def address(self, name: str, key: Key) -> str:
        """The full address of an instance of the resource ``name``."""
        return in_module(self.module, name if key is None else instance(name, key))

    def whole(self, name: str) -> Value:
        """All instances of a resource with for_each: a Map or a tuple of Refs."""
        if name not in self._whole:
            refs = {key: Ref(address) for key, address in self.addresses(name).items()}
            self._whole[name] = self.instances(name).gather(refs)
        return self._whole[name]

    def children(self, name: str) -> Mapping[Key, Scope]:
        """The scopes of a module's instances; empty when the module cannot be used, which is noted."""
        if name not in self._children:
            self._children[name] = {}
            self._children[name] = self._open(self.spec.modules[name], self.module_instances(name))
        return self._children[name]

    def _open(self, block: ModuleBlock, found: Instances) -> dict[Key, Scope]:
        at: At = (block.node, "source")
        above = (*self.above, self.spec.root.resolve())
        if found is BROKEN or not found.each:
            return {}
        if block.git is None:
            folder = (self.spec.root / block.source).resolve()
        elif len(above) <= MAX_MODULE_DEPTH and (fetched := self.world.fetched(block.git, self._call(block.name), at)):
            folder = fetched
        else:
            return {}
        if folder in above or len(above) > MAX_MODULE_DEPTH:
            circle = " → ".join(os.path.relpath(p, above[0]) for p in (*above, folder))
            message = f"module {block.name!r} contains itself: {circle}" if folder in above else "modules are nested too deeply"
            self.world.problems.add("module.recursion", message, at)
            return {}
        spec = self.world.module(folder, at)
        if spec is None:
            return {}
        children = {}
        for key, each in found.each.items():
            label = f"module.{block.name}" if key is None else instance(f"module.{block.name}", key)
            child = Scope(
                self.world,
                spec,
                module=in_module(self.module, label),
                above=above,
                at=block.span or span_of(at),
                depends_on=self.depends_on,
                call=self._call(block.name),
            )
            child.given = module_values(spec, block.inputs, f"module {block.name!r}", self.names_with(each), self.world.problems)
            children[key] = child
        return children

    def _call(self, name: str) -> str:
        """The module block ``name`` among all of the spec, whatever its instances: ``rag.inner``."""
        return f"{self.call}.{name}" if self.call else name

    def force(self) -> None:
        """Work out every variable and output, so that all their problems are noted."""
        for name in self.spec.variables:
            self._attempt(self.variable, name, self.spec.variables[name].span)
        for name in self.spec.outputs:
            self._attempt(self.output, name, self._place_of_output(name))

    def _attempt(self, get: Any, name: str, at: At) -> None:
        try:
            get(name)
        except NameProblem as problem:
            self.world.problems.add(problem.code, problem.message, at, problem.hint)

    def _label(self, text: str) -> str:
        return in_module(self.module, text)
