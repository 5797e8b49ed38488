"""One pass over the wanted resources in dependency order: what has to happen to each, and what is to be recorded beside it.

Asks providers for look-ups and imports only; what the world holds was read before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from mlinfra.graph.edges import select
from mlinfra.model.change import BY_REQUEST, LEFT_BEHIND, NOT_IN_SPEC, Action, Change
from mlinfra.model.dataclass import replace
from mlinfra.model.diagnostic import Diagnostic, Severity
from mlinfra.model.errors import PlanError
from mlinfra.model.plan import OutputChange
from mlinfra.model.resource import Resource, ResourceState
from mlinfra.model.state import State
from mlinfra.model.values import (
    EMPTY,
    UNKNOWN,
    Expr,
    Map,
    Ref,
    Secret,
    SecretDigest,
    SecretRef,
    Value,
    holds,
    leaves,
    lookup,
    path_text,
    within,
)
from mlinfra.plan.diff import Decision, decide
from mlinfra.plan.holders import lies_in
from mlinfra.plan.lookups import adopt
from mlinfra.provider.connections import Connections
from mlinfra.resolve.cel import substitute
from mlinfra.state.compare import equal
from mlinfra.state.sealing import Sealer

if TYPE_CHECKING:
    from mlinfra.plan.planner import Request


class Walk:
    """One pass over the wanted resources in dependency order."""

    def __init__(
        self,
        request: Request,
        edges: Mapping[str, Sequence[str]],
        state: State,
        connections: Connections,
        sealer: Sealer,
        selected: set[str] | None,
    ) -> None:
        self.request = request
        self.edges = edges
        self.state = state
        self.connections = connections
        self.sealer = sealer
        self.selected = selected
        self.changes: list[Change] = []
        self.values: dict[str, Map] = {}
        self.wanted: dict[str, Map] = {}
        self.existing: dict[str, ResourceState] = {}
        self.noted: dict[str, ResourceState] = {}
        self.made_anew: set[str] = set()
        self.warnings: list[Diagnostic] = []
        self.remembered: dict[str, ResourceState] = {}
        self.holders_replaced: dict[str, tuple[ResourceState, Change]] = {}
        self.replaced = set(_replacements(request, state))

    async def visit(self, addresses: Sequence[str]) -> None:
        """Decide them one after the other, each after what it needs."""
        imports, secrets = self.request.imports, self.request.secrets
        recorded = self.state.resources
        for address in addresses:
            resource = self.request.resources[address]
            if secrets:
                resource = _filled(resource, secrets)
            prior = recorded.get((address, ""))
            if resource.existing is not None:
                await self._look_up(resource, resource.existing, prior)
            elif self.selected is not None and address not in self.selected:
                if prior is not None:
                    self.values[address] = prior.attributes
            elif prior is None and address in imports:
                self._note(resource, prior, await self._adopted(resource, imports[address]))
            else:
                self._note(resource, prior, self._decided(resource, prior))

    async def _look_up(self, resource: Resource, id: str, prior: ResourceState | None) -> None:
        address = resource.address
        found = await adopt(resource, id, self.connections)
        self.existing[address] = replace(found, existing=True)
        self.values[address] = found.attributes
        if prior is not None and (self.selected is None or address in self.selected):
            self._let_go(prior, found, resource)

    def _note(self, resource: Resource, prior: ResourceState | None, decision: Decision) -> None:
        """Keep a change, and what those who come later must know of it."""
        address, change = resource.address, decision.change
        self.changes.append(change)
        self.values[address] = decision.values
        if change.action is Action.NOOP and prior is not None:
            self._unchanged(resource, prior, decision)
            return
        self.wanted[address] = decision.wanted
        if change.action in (Action.CREATE, Action.REPLACE):
            self.made_anew.add(address)
        if change.action is Action.REPLACE and not change.may_be_noop and prior is not None:
            self.holders_replaced[address] = (prior, change)

    def _decided(self, resource: Resource, prior: ResourceState | None) -> Decision:
        schema = self.connections.registry.type(resource.type).schema
        holder = self._replaced_holder(prior) if self.holders_replaced else None
        reason = BY_REQUEST if resource.address in self.replaced and prior else ""
        if holder is not None and not reason:
            reason = f"{holder.address}, in which it lies, is replaced"
        decision = decide(resource, prior, schema, self._lookup, self.sealer, replace_reason=reason)
        if holder is not None and not holder.create_first:
            # there is no room beside it: the old one goes with its holder
            decision = replace(decision, change=replace(decision.change, create_first=False))
        return decision

    async def _adopted(self, resource: Resource, import_id: str) -> Decision:
        """The import of what exists already, and what of it changes thereby. PlanError where it would be replaced."""
        found = await adopt(resource, import_id, self.connections)
        decision = decide(resource, found, self.connections.registry.schema(resource.type), self._lookup, self.sealer)
        if decision.change.action is Action.REPLACE:
            raise PlanError(
                Diagnostic(
                    code="plan.import_replaces",
                    message=f"importing {import_id} as {resource.address} would replace it at once: {decision.change.reason}",
                    hint="make the block fit what exists, then import",
                    address=resource.address,
                    span=resource.span,
                )
            )
        return replace(decision, change=replace(decision.change, action=Action.IMPORT, import_id=import_id))

    def _unchanged(self, resource: Resource, prior: ResourceState, decision: Decision) -> None:
        """Take note of what is to be recorded of a resource of which nothing changes."""
        if holds(decision.wanted, Expr):
            self._warn_of_unseen(resource, decision.wanted)
        if decision.values is not prior.attributes:
            self.remembered[resource.address] = replace(prior, attributes=decision.values)
        noted = annotate(prior, resource, self._needs(resource.address))
        if noted is not prior:
            self.noted[resource.address] = noted

    def _let_go(self, prior: ResourceState, found: ResourceState, resource: Resource) -> None:
        """What was managed is only looked up from now on: it is forgotten, so that nothing deletes it later."""
        if prior.id != found.id:
            raise PlanError(
                Diagnostic(
                    code="plan.existing_is_managed",
                    message=f"{prior.address} is to be looked up as {resource.existing}, but this stack made {prior.id} under that name",
                    hint=f"give the look-up another name; or, to leave {prior.id} to itself: mlinfra state rm {prior.address}",
                    address=prior.address,
                    span=resource.span,
                )
            )
        self.changes.append(_ending(prior, Action.FORGET, _LOOKED_UP))

    def _warn_of_unseen(self, resource: Resource, wanted: Map) -> None:
        """Say what was taken as recorded because it is made with a secret that nobody keeps."""
        for path, leaf in leaves(wanted):
            if isinstance(leaf, Expr) and any(type(inner) is SecretDigest for inner in within(leaf)):
                message = (
                    f"{path_text(path)} of {resource.address} is made with a secret of which the state keeps only a digest: "
                )
                self.warnings.append(
                    Diagnostic(
                        code="plan.secret_not_kept",
                        severity=Severity.WARNING,
                        message=message + "it is taken as recorded",
                        hint="configure state.encryption, so that computed secrets can be read again",
                        address=resource.address,
                        span=resource.span,
                    )
                )

    def _replaced_holder(self, prior: ResourceState | None) -> Change | None:
        """The replacement of what it lies in: it is replaced too then, though nothing of it changed."""
        if prior is None:
            return None
        schema_of = self.connections.registry.schema
        around = [self.holders_replaced[need] for need in prior.dependencies if need in self.holders_replaced]
        return next((c for h, c in around if lies_in(prior, h, schema_of, moves_over=c.create_first)), None)

    def _needs(self, address: str) -> tuple[str, ...]:
        needs = tuple(self.edges.get(address, ()))
        return tuple([a for a in needs if a not in self.existing]) if self.existing else needs

    def _lookup(self, ref: Ref) -> Value:
        """What a reference is worth at plan time."""
        values = self.values.get(ref.address)
        if values is None:
            return UNKNOWN
        try:
            found = lookup(values, ref.path)
        except KeyError:
            return self._id(ref.address) if ref.path == ("id",) else None
        return self.sealer.open(found)  # digests stay: that they are the same can be told without the secret

    def _id(self, address: str) -> Value:
        """The physical id, for types that have no attribute of that name."""
        prior = self.existing.get(address) or self.state.get(address)
        stays = prior is not None and address not in self.made_anew
        return prior.id if prior is not None and stays else UNKNOWN

    def delete_the_rest(self) -> None:
        """Deletions of what is recorded and not wanted, and of deposed objects."""
        destroy = self.request.mode == "destroy"
        wanted = {} if destroy else self.request.resources
        forget = self.request.forget
        for (address, deposed), r in self.state.resources.items():
            if self.selected is not None and address not in self.selected:
                continue
            if not deposed and address in wanted:
                continue
            block = self.request.resources.get(address)
            if destroy and not deposed and block is not None and block.existing is not None:
                self.changes.append(_ending(r, Action.FORGET, _LOOKED_UP))
                continue
            forgotten = not deposed and any(address == f or address.startswith((f + ".", f + "[")) for f in forget)
            reason = "" if destroy else LEFT_BEHIND if deposed else NOT_IN_SPEC
            self.changes.append(_ending(r, Action.FORGET if forgotten else Action.DELETE, reason))

    def output_changes(self) -> tuple[OutputChange, ...]:
        """Outputs whose value is not as recorded."""
        wanted = self.request.outputs if self.request.mode == "normal" else EMPTY
        before = self.state.outputs
        found: list[OutputChange] = []
        for name, value in wanted.items():
            after = substitute(value, self._lookup, partial(_fetched, self.request.secrets))
            have = before.get(name)
            sensitive = name in self.request.sensitive_outputs or isinstance(after, (Secret, SecretDigest))
            if name not in before or not equal(have, after, self.sealer):
                found.append(OutputChange(name=name, before=have, after=after, sensitive=sensitive))
        if self.selected is None:
            gone = [n for n in before if n not in wanted]
            found.extend(OutputChange(name=n, before=before[n], after=None) for n in gone)
        return tuple(found)


_LOOKED_UP = "the spec only looks it up (existing)"


def _ending(r: ResourceState, action: Action, reason: str) -> Change:
    return Change(
        action=action, address=r.address, type=r.type, provider=r.provider, kind=r.kind, component=r.component,
        before=r.attributes, reason=reason, deposed=r.deposed,
    )  # fmt: skip


def annotate(prior: ResourceState, resource: Resource, needs: tuple[str, ...]) -> ResourceState:
    """``prior`` with what the spec says beside the attributes; the very same object when nothing of that changed."""
    lifecycle = resource.lifecycle
    first = lifecycle.create_first is True
    if prior.protect == lifecycle.protect and prior.dependencies == needs and prior.create_first == first:
        return prior
    return replace(prior, protect=lifecycle.protect, dependencies=needs, create_first=first)


def _filled(resource: Resource, secrets: Mapping[SecretRef, Secret]) -> Resource:
    """The resource with the fetched secrets in their places; the very same object when it has none."""
    fetched = partial(_fetched, secrets)
    attributes = substitute(resource.attributes, _itself, fetched)
    triggers = substitute(resource.lifecycle.replace_when, _itself, fetched)
    if attributes is resource.attributes and triggers is resource.lifecycle.replace_when:
        return resource
    return replace(resource, attributes=attributes, lifecycle=replace(resource.lifecycle, replace_when=triggers))


def _fetched(secrets: Mapping[SecretRef, Secret], ref: SecretRef) -> Value:
    return secrets.get(ref, ref)


def _itself(ref: Ref) -> Value:
    return ref


def _replacements(request: Request, state: State) -> set[str]:
    if not request.replace:
        return set()
    return select([a for a in request.resources if state.get(a)], request.replace)
