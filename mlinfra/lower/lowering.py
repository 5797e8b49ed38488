"""Lowers every component in the order of its needs. Pure but for importing providers; collects every problem."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mlinfra.kinds import catalog
from mlinfra.lower.checks import Rules, check_resource, rules_of
from mlinfra.lower.exports import Exports, NoSuchOutput, explain
from mlinfra.lower.settings import check_settings, instance_span
from mlinfra.lower.stack import Stack
from mlinfra.model.address import parse_address
from mlinfra.model.component import Component
from mlinfra.model.dataclass import maker, replace
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import PlanError
from mlinfra.model.resource import Resource
from mlinfra.model.schema import Schema
from mlinfra.model.validation import refusal
from mlinfra.model.values import Map, Value, references
from mlinfra.provider.contract import FileDigest, Lowered, Lowering, LoweringContext
from mlinfra.provider.registry import Registry
from mlinfra.resolve import cel
from mlinfra.resolve.cel_errors import ExpressionError
from mlinfra.resolve.resolved import Resolved
from mlinfra.spec.kind_errors import diagnostics


def lower(resolved: Resolved, registry: Registry, digests: Mapping[tuple[str, str], FileDigest]) -> Stack:
    """The wanted native resources. Components in ``resolved.broken``, and what needs them, are passed over.

    PlanError with every problem that there is."""
    run = _Run(resolved, registry, digests)
    components = {c.name: c for c in resolved.components}
    for name, needs in resolved.needs.items():
        run.component(components[name], needs)
    outputs = run.outputs()
    if run.problems:
        raise PlanError(dict.fromkeys(run.problems))
    return Stack(
        resources=run.resources,
        outputs=outputs,
        sensitive_outputs=run.sensitive(outputs),
        components=components,
        settings=run.settings(),
    )


_context, _lowered = maker(LoweringContext), maker(Lowered)


class _Failed(Exception):
    """This component cannot be lowered; the problem is noted."""


class _Run:
    """One lowering of a spec: what is found so far, and what would be asked again and again."""

    def __init__(self, resolved: Resolved, registry: Registry, digests: Mapping[tuple[str, str], FileDigest]) -> None:
        self.resolved = resolved
        self.registry = registry
        self.digests = digests
        self.problems: list[Diagnostic] = []
        self.resources: dict[str, Resource] = {}
        self.exports = Exports()
        self._natives: dict[str, tuple[str, ...]] = {}
        self._settings: dict[str, Map | None] = {}
        self._lowerings: dict[tuple[str, str], Lowering | PlanError | ImportError | None] = {}
        self._rules: dict[str, Rules | PlanError | ImportError] = {}
        self._attributes: dict[str, tuple[str, ...]] = {}

    def component(self, component: Component, needs: tuple[str, ...]) -> None:
        """Lower one component, unless it or what it needs is broken."""
        if component.name in self.resolved.broken or not self.exports.found.keys() >= set(needs):
            return
        try:
            replaced = self.exports.replaced(component)
            lowered = self._native(replaced) if "." in replaced.kind else self._portable(replaced)
            self._accept(replaced, lowered)
        except _Failed:
            return
        except (NoSuchOutput, ExpressionError) as error:
            self.problems.append(explain(error, component))

    def outputs(self) -> Map:
        """The spec's outputs, as far as what they need was lowered."""
        found: dict[str, Value] = {}
        for name, value in self.resolved.outputs.items():
            if any(ref.address not in self.exports.found for ref in references(value)):
                continue
            try:
                found[name] = cel.substitute(value, self.exports.lookup)
            except (NoSuchOutput, ExpressionError) as error:
                output = self.resolved.spec.outputs.get(name)
                code = error.code if isinstance(error, ExpressionError) else "reference.unknown_output"
                message = f"output {name}: {error.message}"
                span = output.span if output else None
                self.problems.append(Diagnostic(code=code, message=message, hint=error.hint, span=span))
        return Map(found)

    def sensitive(self, outputs: Map) -> tuple[str, ...]:
        """The outputs that are declared sensitive, hold a secret, or read a sensitive attribute."""
        found = dict.fromkeys(self.resolved.sensitive_outputs)
        for name, value in outputs.items():
            for ref in references(value):
                resource = self.resources.get(ref.address)
                rules = self._rules.get(resource.type) if resource else None
                attributes = rules.schema.attributes if isinstance(rules, Rules) else {}
                read = ref.path[:1] or tuple(attributes)
                if any(str(step) in attributes and attributes[str(step)].sensitive for step in read):
                    found[name] = None
        return tuple(found)

    def _portable(self, component: Component) -> Lowered:
        settings = self._settings_of(component.target, component)
        lowering = self._lowering(component)
        model = component.model or self._model(component)
        context = _context(
            component=component,
            project=self.resolved.project,
            environment=self.resolved.environment,
            provider=component.target,
            settings=settings,
            digests=self.digests,
        )
        try:
            lowered = lowering(model, context)
        except PlanError as error:
            self._note(error, component)
            raise _Failed from None
        except Exception as error:
            message = f"provider {component.target!r} failed to lower a {component.kind}: {type(error).__name__}: {error}"
            self._bug(message, component)
            raise _Failed from error
        missing = [name for name in model.outputs if name not in lowered.own and name not in lowered.outputs]
        if missing:
            message = f"provider {component.target!r} gives no {', '.join(missing)} for a {component.kind}"
            self._bug(message, component)
            raise _Failed
        return lowered

    def _model(self, component: Component) -> Any:
        """The kind's model of the properties, checked once more: now with what their references stand for."""
        try:
            return catalog.kind(component.kind).model_validate(component.properties)
        except refusal() as error:
            self.problems += diagnostics(component.kind, error, component.name, component.spans)
            raise _Failed from None

    def _native(self, component: Component) -> Lowered:
        """One resource of the type that the component names; it offers all its attributes."""
        provider = component.kind.partition(".")[0]
        instance = component.target if component.target.partition(".")[0] == provider else provider
        self._settings_of(instance, component)
        rules = self._rules_of(component.kind, component)
        if component.kind not in self._attributes:
            self._attributes[component.kind] = tuple(dict.fromkeys(("id", *rules.schema.attributes)))
        context = _context(
            component=component, project=self.resolved.project, environment=self.resolved.environment, provider=instance
        )
        resource = context.resource(component.kind, component.properties)
        return _lowered(resources=(resource,), own=self._attributes[component.kind])

    def _accept(self, component: Component, lowered: Lowered) -> None:
        """Check the resources and take them in."""
        before = len(self.problems)
        needed = {need: self._natives[need] for need in component.depends_on} if component.depends_on else None
        addresses: list[str] = []
        for resource in lowered.resources:
            if component.existing is not None and resource.existing is None:
                continue  # a look-up makes nothing, so the parts beside the main resource are not ours either
            if resource.provider != component.target:
                self._settings_of(resource.provider, component)
            rules = self._rules_of(resource.type, component)
            if resource.component != component.name:
                self._share(resource, component, rules)
                continue
            if component.native and len(lowered.resources) > 1:
                resource = _without_sections(resource, component, lowered.resources, rules.schema)
            if component.tags and resource.existing is None and rules.schema.tagged is not None:
                resource = replace(resource, attributes=rules.schema.tagged(resource.attributes, component.tags))
            self.problems.extend(check_resource(resource, component, rules))
            if needed is not None:
                every = [a for d in resource.depends_on for a in needed.get(d, (d,))]
                resource = replace(resource, depends_on=tuple(dict.fromkeys(every)))
            if resource.address in self.resources:
                self._note_twice(resource, component)
            self.resources[resource.address] = resource
            addresses.append(resource.address)
        if len(self.problems) == before:
            self._natives[component.name] = tuple(addresses)
            self.exports.found[component.name] = (component.kind, lowered)

    def _share(self, resource: Resource, component: Component, rules: Rules) -> None:
        """Take in what components share: the first that gives it makes it, the others must give the same."""
        known = self.resources.get(resource.address)
        if known is None:
            self.problems.extend(check_resource(resource, component, rules))
            self.resources[resource.address] = resource
        elif known.component != resource.component:
            self._note_twice(resource, component)
        elif known != resource:
            message = (
                f"provider {component.target!r} gives two different resources for {resource.address}, which components share"
            )
            self._bug(message, component)

    def _note_twice(self, resource: Resource, component: Component) -> None:
        other = self.resources[resource.address]
        self.problems.append(
            Diagnostic(
                code="lower.duplicate_address",
                message=f"{component.name} and {other.component} both make a resource with the address {resource.address}",
                span=component.span,
                hint="rename one of them",
                related=((other.span, "the other one"),) if other.span else (),
                address=component.name,
            )
        )

    def settings(self) -> dict[str, Map]:
        """The settings of every provider instance that was used."""
        return {instance: settings for instance, settings in self._settings.items() if settings is not None}

    def _settings_of(self, instance: str, component: Component) -> Map:
        """The checked settings of a provider instance. Its problems are noted once."""
        if instance not in self._settings:
            self._settings[instance] = None
            try:
                settings, problems = check_settings(self.resolved, self.registry, instance)
            except PlanError as error:
                self._note(error, component, "target")
                raise _Failed from None
            span = instance_span(self.resolved, instance) or component.span
            self.problems += [p if p.span is not None else replace(p, span=span) for p in problems]
            self._settings[instance] = None if problems else settings
        found = self._settings[instance]
        if found is None:
            raise _Failed
        return found

    def _lowering(self, component: Component) -> Lowering:
        key = (component.target, component.kind)
        if key not in self._lowerings:
            try:
                self._lowerings[key] = self.registry.lowering(*key)
            except (PlanError, ImportError) as error:
                self._lowerings[key] = error
        found = self._lowerings[key]
        if found is None:
            self._cannot(component)
            raise _Failed
        if isinstance(found, Exception):
            self._note(found, component, "kind")
            raise _Failed
        return found

    def _cannot(self, component: Component) -> None:
        able = [name for name in self.registry.names() if self._can(name, component.kind)]
        self.problems.append(
            Diagnostic(
                code="lower.not_on_target",
                message=f"{component.target} cannot make a {component.kind}",
                span=component.spans.get(("kind",)) or component.span,
                hint=f"targets that can: {', '.join(able)}" if able else "no installed provider can",
                address=component.name,
            )
        )

    def _can(self, name: str, kind: str) -> bool:
        try:
            return kind in self.registry.get(name).lowerings
        except PlanError:
            return False

    def _rules_of(self, name: str, component: Component) -> Rules:
        if name not in self._rules:
            try:
                self._rules[name] = rules_of(self.registry.type(name))
            except (PlanError, ImportError) as error:
                self._rules[name] = error
        found = self._rules[name]
        if isinstance(found, Exception):
            self._note(found, component, "kind")
            raise _Failed
        return found

    def _note(self, error: PlanError | ImportError, component: Component, key: str = "") -> None:
        """A provider's or the registry's error, at the component's ``key`` where it has no place of its own."""
        if isinstance(error, ImportError):
            provider = component.target.partition(".")[0]
            message = f"provider {provider!r} cannot be loaded: {error}"
            hint = f"install it with: pip install 'mlinfra-iac[{provider}]'"
            error = PlanError(Diagnostic(code="provider.missing_dependency", message=message, hint=hint))
        span = component.spans.get((key,)) or component.span
        self.problems += [
            p if p.span is not None else replace(p, span=span, address=p.address or component.name) for p in error.diagnostics
        ]

    def _bug(self, message: str, component: Component) -> None:
        hint = "this is a bug of the provider; please report it"
        self.problems.append(
            Diagnostic(code="provider.bug", message=message, span=component.span, hint=hint, address=component.name)
        )


def _without_sections(resource: Resource, component: Component, siblings: Iterable[Resource], schema: Schema) -> Resource:
    """The main resource without the ``native`` settings that are meant for its siblings: those named after a role or type."""
    if resource.address != component.name:
        return resource
    sections: set[str] = set()
    for sibling in siblings:
        parts = parse_address(sibling.address)
        sections.update((parts.role.partition("[")[0] if parts else "", sibling.type, sibling.type.rpartition(".")[2]))
    meant = [n for n in component.native if n in sections and n not in schema.attributes and n in resource.attributes]
    if not meant:
        return resource
    return replace(resource, attributes=Map({n: v for n, v in resource.attributes.items() if n not in meant}))
