"""The whole of resolve in one function: from a Spec and what was given on the command line to a Resolved."""

from __future__ import annotations

from functools import partial

from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import SpecError
from mlinfra.model.values import UNKNOWN, Map, Secret, holds, is_known
from mlinfra.resolve import cycles, environment, moves, policies
from mlinfra.resolve.components import build, scopes
from mlinfra.resolve.problems import Problems
from mlinfra.resolve.resolved import Inputs, Resolved
from mlinfra.resolve.scope import Scope
from mlinfra.resolve.variables import given_values
from mlinfra.resolve.world import OutputsOf, World
from mlinfra.spec.document import EnvironmentBlock, Spec

DEFAULT_TARGET = "local"


def resolve(spec: Spec, inputs: Inputs, *, outputs_of: OutputsOf | None = None) -> Resolved:
    """Variables, environment, modules, for_each and expressions worked out. Reads the files of modules and variables, else pure.

    ``outputs_of`` gives the outputs of a native kind (``docker.network``), so that a misspelt one is caught here. SpecError with
    every problem that there is.
    """
    resolved, problems = examine(spec, inputs, outputs_of=outputs_of)
    if problems:
        raise SpecError(problems)
    return resolved


def examine(spec: Spec, inputs: Inputs, *, outputs_of: OutputsOf | None = None) -> tuple[Resolved, tuple[Diagnostic, ...]]:
    """As much as can be resolved, and what is wrong with the rest: ``Resolved.broken`` names the components concerned.

    SpecError only when nothing can be said: the environment does not exist."""
    world, root, chosen = _begin(spec, inputs, outputs_of)
    problems = world.problems
    for scope in scopes(root):
        scope.force()
    target = (chosen.target if chosen else None) or DEFAULT_TARGET
    built = build(root, target)
    needs, circular = cycles.ordered(built.components, problems)
    names = [c.name for c in built.components]
    outputs = {name: root.output(name) for name in spec.outputs}
    declared = list(dict.fromkeys((*names, *world.kinds)))
    rules, rule_files = policies.policies(spec, problems)
    resolved = Resolved(
        spec=spec,
        project=spec.project,
        environment=world.environment,
        policies=rules,
        budget=policies.budget(spec, world.environment),
        target=target,
        protect=chosen.protect if chosen else False,
        providers=environment.providers(root, chosen),
        state=environment.state(root, chosen),
        components=built.components,
        needs=needs,
        outputs=Map({name: value for name, value in outputs.items() if value is not UNKNOWN}),
        sensitive_outputs=tuple(n for n, o in spec.outputs.items() if o.sensitive or holds(outputs[n], Secret)),
        moved=moves.moved(root, declared),
        removed=moves.removed(root, declared),
        imports=moves.imports(root, declared),
        variables=Map({n: root.variable(n) for n, v in spec.variables.items() if not v.sensitive and is_known(root.variable(n))}),
        sensitive=tuple(n for n, v in spec.variables.items() if v.sensitive),
        spec_files=(*spec.files, *world.module_files, *rule_files),
        files=problems.files,
        broken=built.broken | circular,
        warnings=environment.unchosen(spec, chosen),
    )
    return resolved, problems.found


def head(spec: Spec, inputs: Inputs) -> Resolved:
    """Project, environment and state of a spec, and nothing else: a broken resource or a variable without a value does not hide
    what is recorded. SpecError when these few cannot be worked out."""
    world, root, chosen = _begin(spec, inputs, None)
    state = environment.state(root, chosen)
    if world.problems.found:
        raise SpecError(world.problems.found)
    return Resolved(spec=spec, project=spec.project, environment=world.environment, state=state)


def _begin(spec: Spec, inputs: Inputs, outputs_of: OutputsOf | None) -> tuple[World, Scope, EnvironmentBlock | None]:
    """The root's scope, in the chosen environment, with the values that its variables are given."""
    chosen = environment.choose(spec, inputs)
    world = World(spec, Problems(spec.files), outputs_of, inputs.read_stack)
    world.environment = chosen.name if chosen else ""
    root = Scope(world, spec)
    world.own_state = partial(_own_state, root, chosen)
    root.given = given_values(spec, chosen, inputs, root.names, world.problems)
    return world, root, chosen


def _own_state(root: Scope, chosen: EnvironmentBlock | None) -> Map:
    with root.world.computing(("state",), "the state block"):
        return environment.state(root, chosen)
