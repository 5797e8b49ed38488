"""Looking up what exists already: for imports and for ``existing``."""

from __future__ import annotations

from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import PlanError
from mlinfra.model.resource import Resource, ResourceState
from mlinfra.provider.calls import call
from mlinfra.provider.connections import Connections
from mlinfra.provider.contract import Adopts
from mlinfra.provider.failures import Failure
from mlinfra.state.sealing import veil


async def adopt(resource: Resource, id: str, connections: Connections) -> ResourceState:
    """The existing object ``id`` as it would be recorded. PlanError when there is none or its type cannot be imported."""
    bound = await connections.bind(resource.type, resource.provider)
    kind = bound.type
    if not isinstance(kind, Adopts):
        raise _error(resource, "plan.no_import", f"a {resource.type} cannot be looked up by an id", "")
    try:
        found = await call(lambda: kind.adopt(bound.client, id), bound.limiter, provider=resource.provider)
    except Failure as failure:
        raise _error(
            resource, failure.code, f"{resource.type} {id!r} cannot be read: {failure.message}", failure.hint
        ) from failure
    if found is None:
        raise _error(resource, "plan.nothing_to_import", f"there is no {resource.type} with the id {id!r}", "check the id")
    return ResourceState(
        address=resource.address,
        type=resource.type,
        provider=resource.provider,
        id=found.id,
        attributes=veil(found.attributes, kind.schema),
        schema_version=kind.schema.version,
        component=resource.component,
        kind=resource.kind,
    )


def _error(resource: Resource, code: str, message: str, hint: str) -> PlanError:
    return PlanError(Diagnostic(code=code, message=message, hint=hint, address=resource.address, span=resource.span))
