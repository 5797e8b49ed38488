"""``plan --server-check``: what the servers themselves say to a plan, before anything is changed.

Only types that are :class:`~mlinfra.provider.contract.ChecksOnServer` can be asked; what could not be looked at is said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from mlinfra.graph.edges import closure
from mlinfra.model.change import Action, Change
from mlinfra.model.dataclass import dataclass
from mlinfra.model.diagnostic import Diagnostic, Severity, Span
from mlinfra.model.errors import PlanError
from mlinfra.model.events import Notice, Sink
from mlinfra.model.loops import a_loop, asyncio
from mlinfra.model.resource import Desired, Resource, made_at
from mlinfra.model.values import Path, path_text
from mlinfra.plan.planner import Made
from mlinfra.provider.calls import BrokenContract, call
from mlinfra.provider.connections import Connections
from mlinfra.provider.contract import ChecksOnServer
from mlinfra.provider.failures import AlreadyExists, Denied, Failure, Quota

Locate = Callable[[Resource, Path], Span | None]
_MAKES = (Action.CREATE, Action.REPLACE)
_SHOWN = 6


@dataclass(frozen=True, slots=True)
class _Answer:
    """``looked`` is what the server looked at, empty: nothing; ``failure`` why it would refuse."""

    change: Change
    looked: str = ""
    failure: Failure | None = None


async def check_on_server(made: Made, connections: Connections, locate: Locate, sink: Sink) -> tuple[Diagnostic, ...]:
    """Warnings: what could not be asked, and what the server refuses as long as something else of this plan is not there yet.

    Raises PlanError with every refusal, each at its line."""
    schema_of = connections.registry.schema
    asked = [c for c in made.plan.changes if c.action in (*_MAKES, Action.UPDATE) and not c.deposed]
    changes = [c for c in asked if not schema_of(c.type).virtual]
    await a_loop()
    answers = await asyncio.gather(*[_ask(change, made, connections) for change in changes])
    to_come = {c.address for c in changes if c.action in _MAKES}
    found = [_problem(a, a.failure, made, to_come, locate) for a in answers if a.failure is not None]
    refused = [d for d in found if d.severity is Severity.ERROR]
    if refused:
        raise PlanError(found)
    accepted = [a for a in answers if a.looked and a.failure is None]
    if accepted:
        sink(Notice(message=f"server check: {len(accepted)} of {len(changes)} changes looked at and accepted"))
    silent = [a.change for a in answers if not a.looked and a.failure is None]
    return (*found, *_unasked(silent))


async def _ask(change: Change, made: Made, connections: Connections) -> _Answer:
    resource = made.plan.resources[change.address]
    bound = await connections.bind(resource.type, resource.provider)
    kind = bound.type
    if not isinstance(kind, ChecksOnServer):
        return _Answer(change)
    recorded = made.state.get(change.address) if change.action is Action.UPDATE else None
    wanted = made.wanted[change.address]
    desired = Desired(address=made_at(resource), type=resource.type, attributes=wanted, timeout=resource.lifecycle.timeout)
    try:
        looked = await call(lambda: kind.check(bound.client, recorded, desired), bound.limiter, provider=bound.provider)
    except BrokenContract:
        raise
    except Failure as failure:
        return _Answer(change, failure=failure)
    return _Answer(change, looked)


def _problem(answer: _Answer, failure: Failure, made: Made, to_come: set[str], locate: Locate) -> Diagnostic:
    """An error where the server would refuse; a warning where it did not say, or where what it misses may be what this plan
    makes first. Missing rights and quota are neither."""
    change, needs = answer.change, made.plan.needs
    resource = made.plan.resources[change.address]
    first = sorted(closure(needs.get(change.address, ()), lambda a: needs.get(a, ())) & to_come)
    excused = bool(first) and not isinstance(failure, (Denied, Quota))
    where = f"{path_text(failure.path)}: " if failure.path else ""
    message, hint = f"{change.address} would be refused: {where}{failure.message}", failure.hint
    if isinstance(failure, AlreadyExists):
        hint = hint or failure.way_out(change.address)
    if failure.retryable:
        message = f"{change.address} could not be checked on the server: {failure.message}"
    elif excused:
        made_first = _listed(first)
        message += f". It may be that it needs {made_first}, which this plan makes first"
    return Diagnostic(
        code=failure.code,
        severity=Severity.WARNING if failure.retryable or excused else Severity.ERROR,
        message=message,
        hint=hint,
        address=change.address,
        path=failure.path,
        span=locate(resource, failure.path),
    )


def _unasked(changes: Sequence[Change]) -> list[Diagnostic]:
    """One warning that names what no server was asked about."""
    if not changes:
        return []
    by_type: dict[str, list[str]] = defaultdict(list)
    for change in changes:
        by_type[change.type].append(change.address)
    said = "; ".join(f"{_listed(addresses)} ({type})" for type, addresses in sorted(by_type.items()))
    message = f"the server check could not look at {said}: their APIs offer no dry run for this change"
    return [Diagnostic(code="plan.not_checked_on_server", severity=Severity.WARNING, message=message)]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
