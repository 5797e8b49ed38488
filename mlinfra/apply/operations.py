"""The operations of a step: create, update, delete, import, forget. Each journals an intent, asks the provider, records.

The intent is durable before the provider is asked. What came of it is only handed to the journal, which keeps the order: it is
durable before the intent of any step that needs this one is, and so before the world sees that step.

A failure that leaves open whether the cloud did it (a timeout, a lost connection) leaves the intent open: the next run
looks it up. A definite refusal closes it.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable, Mapping

from mlinfra.apply.answers import attributes_of, broken_promises, frame_of, refuse
from mlinfra.apply.live import Live
from mlinfra.model.change import Action, AttributeChange, Change
from mlinfra.model.dataclass import dataclass, maker, replace
from mlinfra.model.events import Sink, StepProgress, StepRetry
from mlinfra.model.plan import Operation, Plan
from mlinfra.model.resource import Desired, Observed, Resource, ResourceState, made_at
from mlinfra.model.schema import Schema
from mlinfra.model.values import EMPTY, Map, Path, Value, is_known, leaves, lookup, path_text, references
from mlinfra.provider.calls import BrokenContract, call
from mlinfra.provider.connections import Bound, Connections
from mlinfra.provider.contract import Adopts, Finds, Succeeds
from mlinfra.provider.failures import AlreadyExists, Conflict, Failure, Invalid, NotFound, Throttled, Timeout, Transient
from mlinfra.provider.progress import listening
from mlinfra.state.compare import differences, keep_ignored, predict
from mlinfra.state.entries import Close, Depose, Drop, Entry, Intent, Record
from mlinfra.state.session import Session

_OPEN_ENDED = (Timeout, Transient, Throttled, Conflict, BrokenContract)
"""Failures after which the cloud may have done it all the same."""


@dataclass(frozen=True, slots=True)
class Result:
    """``unchanged``: nothing had to be done. ``durable``: done once it is on record; None when it is, or nothing had to be recorded."""

    id: str = ""
    unchanged: bool = False
    durable: asyncio.Future[None] | None = None


_record, _intent, _desired, _result = maker(Record), maker(Intent), maker(Desired), maker(Result)


class Operations:
    """Performs single steps of one plan."""

    def __init__(self, plan: Plan, session: Session, connections: Connections, live: Live, sink: Sink) -> None:
        self.plan = plan
        self.session = session
        self.connections = connections
        self.live = live
        self.sink = sink
        self._cut_off: set[int] = set()
        self._deposed: dict[int, str] = {}
        self._random = random.Random()

    def _token(self) -> str:
        """A new UUID without dashes. Its generator is our own, seeded by the operating system once: asking that each time lets another
        thread go first each time, and what user code does to Python's shared one must not repeat a token."""
        return uuid.UUID(int=self._random.getrandbits(128), version=4).hex

    def schema(self, type_name: str) -> Schema:
        return self.connections.registry.type(type_name).schema

    async def perform(self, index: int) -> Result:
        """Perform step ``index``. Raises Failure when it fails; MlinfraError when the state cannot be written any more."""
        step = self.plan.steps[index]
        change = self.plan.changes[step.change]
        with listening(lambda message: self.sink(StepProgress(step=index, address=change.address, message=message))):
            match step.operation:
                case Operation.CREATE:
                    return await self._create(index, step.change, change)
                case Operation.UPDATE:
                    return await self._update(index, change)
                case Operation.DELETE:
                    return await self._delete(index, step.change, change)
                case Operation.IMPORT:
                    return await self._import(index, change)
                case Operation.FORGET:
                    return Result(durable=self.session.post(Drop(address=change.address)))
                case Operation.READ:
                    return Result(unchanged=True)

    async def _create(self, index: int, number: int, change: Change) -> Result:
        address = change.address
        if number in self._cut_off:
            return Result(unchanged=True)
        resource = self.plan.resources[address]
        bound = await self.connections.bind(resource.type, resource.provider)
        kind = bound.type
        wanted, triggers = await self._wanted(resource)
        old = self.session.ledger.resources.get((address, ""))
        if (
            change.action is Action.REPLACE
            and change.create_first
            and self._same_after_all(change, resource, kind.schema, wanted)
        ):
            self._cut_off.add(number)
            return Result(old.id if old else "", unchanged=True)
        op = self._token()
        frame = self._frame(resource, kind.schema, triggers, before=old)
        opening: list[Entry] = []
        if change.action is Action.REPLACE and change.create_first and old is not None:
            self._deposed[number] = op[:8]
            opening.append(Depose(address=address, key=op[:8]))
        if not kind.schema.virtual:
            opening.append(_intent(op=op, operation="create", address=address, resource=self._filled(frame, kind.schema, wanted)))
        if opening:
            await self.session.append(*opening)
        desired = self._desired(resource, wanted)
        succeeds = kind if number in self._deposed and old is not None and isinstance(kind, Succeeds) else None

        attempts = 0

        async def act() -> Observed:
            nonlocal attempts
            attempts += 1
            if succeeds is not None and old is not None:
                return await succeeds.succeed(bound.client, self._seen(old), desired, op)
            return await kind.create(bound.client, desired, op)

        async def already() -> Observed | None:
            if not isinstance(kind, Finds):
                return None
            found = await kind.find(bound.client, desired, op)
            if found is None and kind.schema.lag:
                await asyncio.sleep(kind.schema.lag)
                found = await kind.find(bound.client, desired, op)
            return found

        try:
            answer = await self._call(index, bound, resource, act, already)
        except Failure as failure:
            if isinstance(failure, AlreadyExists) and attempts > 1:
                raise  # it may be what an earlier attempt made: the intent stays open, and the next run looks it up
            await self._create_failed(failure, number, frame, kind.schema, wanted, op, old)
            raise
        return await self._made(frame, kind.schema, wanted, answer, op)

    async def _create_failed(
        self, failure: Failure, number: int, frame: ResourceState, schema: Schema, wanted: Map, op: str, old: ResourceState | None
    ) -> None:
        """Record what a failed create left: a tainted half, or nothing (then the deposed old object is current again)."""
        if failure.partial is not None:
            half = self._filled(frame, schema, attributes_of(schema, wanted, failure.partial), failure.partial.id)
            await self.session.append(Record(resource=replace(half, tainted=True, replace_when=()), op=op))
        elif not isinstance(failure, _OPEN_ENDED):
            closing: list[Entry] = [Close(op=op)]
            key = self._deposed.pop(number, "")
            if key and old is not None:
                closing += [Drop(address=frame.address, deposed=key), Record(resource=replace(old, version=old.version + 2))]
            await self.session.append(*closing)

    async def _update(self, index: int, change: Change) -> Result:
        address = change.address
        resource = self.plan.resources[address]
        bound = await self.connections.bind(resource.type, resource.provider)
        schema = bound.type.schema
        current = self.session.ledger.resources[(address, "")]
        recorded = self._seen(current)
        wanted, triggers = await self._wanted(resource)
        wanted = keep_ignored(schema, wanted, recorded.attributes, resource.lifecycle.ignore_changes)
        found = self._differences(schema, recorded, wanted, resource)
        if not found:
            return await self._unchanged(resource, schema, recorded, triggers, current)
        planned = {a.path[0] for a in change.attributes}
        forced = [a for a in found if a.forces_replacement and a.path[0] not in planned]
        if forced:
            raise Invalid(
                f"{path_text(forced[0].path)} turned out to need a replacement, which this plan does not contain",
                hint="run plan and apply again",
            )
        op = self._token()
        if not schema.virtual:
            await self.session.append(Intent(op=op, operation="update", address=address, resource=current))
        frame = self._frame(resource, schema, triggers, before=current)
        desired = self._desired(resource, wanted)
        try:
            answer = await self._call(index, bound, resource, lambda: bound.type.update(bound.client, recorded, desired))
        except Failure as failure:
            if failure.partial is not None:
                half = self._filled(frame, schema, attributes_of(schema, wanted, failure.partial), failure.partial.id)
                await self.session.append(Record(resource=half, op=op))
            elif not isinstance(failure, _OPEN_ENDED) and not schema.virtual:
                await self.session.append(Close(op=op))
            raise
        untold = {k: v for k, v in recorded.attributes.items() if k not in wanted and _is_told_once(schema, k)}
        return await self._made(frame, schema, wanted, answer, op, untold=untold)

    async def _unchanged(
        self, resource: Resource, schema: Schema, recorded: ResourceState, triggers: Value, current: ResourceState
    ) -> Result:
        """Nothing to do in the world; what the spec says beside the attributes is noted."""
        self.live.set(resource.address, recorded.id, recorded.attributes)
        frame = self._frame(resource, schema, triggers, before=current)
        noted = self._filled(frame, schema, recorded.attributes, recorded.id)
        return Result(recorded.id, unchanged=True, durable=self.session.post(Record(resource=noted)))

    async def _delete(self, index: int, number: int, change: Change) -> Result:
        if number in self._cut_off:
            return Result(unchanged=True)
        if change.action is Action.REPLACE and not change.create_first and change.may_be_noop:
            resource = self.plan.resources[change.address]
            wanted = self.live.resolve(resource.attributes)
            if is_known(wanted) and self._same_after_all(change, resource, self.schema(resource.type), wanted):
                self._cut_off.add(number)
                return Result(change.address, unchanged=True)
        deposed = change.deposed or self._deposed.get(number, "")
        recorded = self.session.ledger.resources.get((change.address, deposed))
        if recorded is None:
            return Result(unchanged=True)
        bound = await self.connections.bind(recorded.type, recorded.provider)
        op = self._token()
        virtual = bound.type.schema.virtual
        if not virtual:
            await self.session.append(Intent(op=op, operation="delete", address=change.address, resource=recorded))
        seen = self._seen(recorded)
        try:
            await self._call(index, bound, None, lambda: _nothing(bound.type.delete(bound.client, seen)))
        except NotFound:
            pass
        except Failure as failure:
            if not isinstance(failure, _OPEN_ENDED) and not virtual:
                await self.session.append(Close(op=op))
            raise
        durable = self.session.post(Drop(address=change.address, deposed=deposed, op=op))
        if change.action is Action.REPLACE:
            await asyncio.shield(durable)  # its successor is made at the same address, which the ledger must say is free
        return Result(recorded.id, durable=durable)

    async def _import(self, index: int, change: Change) -> Result:
        resource = self.plan.resources[change.address]
        bound = await self.connections.bind(resource.type, resource.provider)
        kind = bound.type
        if not isinstance(kind, Adopts):
            raise Invalid(f"a {resource.type} cannot be imported")
        found = await self._call(index, bound, resource, lambda: kind.adopt(bound.client, change.import_id))
        if found is None:
            raise NotFound(f"there is no {resource.type} with the id {change.import_id!r} any more")
        _, triggers = await self._wanted(resource)
        made = await self._made(self._frame(resource, kind.schema, triggers, before=None), kind.schema, EMPTY, found, "")
        if made.durable is not None:
            await asyncio.shield(made.durable)  # an update of it may follow, which begins with what the ledger says
        return made

    async def _made(
        self, frame: ResourceState, schema: Schema, wanted: Map, answer: Observed, op: str, *, untold: Mapping[str, Value] = EMPTY
    ) -> Result:
        """Record what stands, then complain if it is not what was asked for. ``untold`` stays as it was where the answer does
        not mention it."""
        complaint = broken_promises(schema, wanted, answer, self.session.sealer)
        if not isinstance(answer, Observed):
            raise refuse(frame.provider, complaint)
        attributes = attributes_of(schema, wanted, answer)
        if untold:
            attributes = Map({**untold, **attributes})
        self.live.set(frame.address, answer.id, attributes)
        durable = self.session.post(_record(resource=self._filled(frame, schema, attributes, answer.id), op=op))
        if complaint:
            await asyncio.shield(durable)
            raise refuse(frame.provider, complaint)
        return _result(answer.id, durable=durable)

    def _frame(self, resource: Resource, schema: Schema, triggers: Value, *, before: ResourceState | None) -> ResourceState:
        """The record that a step ends with, as far as it is known when it begins."""
        # a fresh object starts above every number that its address ever had: a plan that saw an earlier one is stale
        version = before.version + 1 if before else self.session.ledger.serial + 1
        return frame_of(
            resource, triggers=self.session.sealer.seal(triggers), schema_version=schema.version, version=version,
            is_recorded=self.live.is_recorded,
        )  # fmt: skip

    def _filled(self, frame: ResourceState, schema: Schema, attributes: Map, id: str = "") -> ResourceState:
        return replace(frame, attributes=self.session.sealer.seal_attributes(attributes, schema, frame.inputs), id=id)

    def _seen(self, recorded: ResourceState) -> ResourceState:
        """The record with the values that refresh saw, secrets in memory included."""
        seen = self.plan.prior.get(recorded.key)
        if seen is None or (seen.id == recorded.id and seen.attributes == recorded.attributes):
            return recorded
        return replace(recorded, attributes=seen.attributes, id=seen.id)

    def _differences(
        self, schema: Schema, recorded: ResourceState, wanted: Map, resource: Resource
    ) -> tuple[AttributeChange, ...]:
        predicted = predict(schema, wanted)
        everything = {**{k: v for k, v in predicted.items() if k not in wanted}, **wanted}
        return differences(
            schema, recorded.attributes, everything, self.session.sealer,
            inputs_before=recorded.inputs, ignore=resource.lifecycle.ignore_changes,
        )  # fmt: skip

    def _same_after_all(self, change: Change, resource: Resource, schema: Schema, wanted: Map) -> bool:
        current = self.session.ledger.resources.get((change.address, ""))
        if not change.may_be_noop or current is None or not is_known(wanted):
            return False
        recorded = self._seen(current)
        wanted = keep_ignored(schema, wanted, recorded.attributes, resource.lifecycle.ignore_changes)
        return not self._differences(schema, recorded, wanted, resource)

    async def _wanted(self, resource: Resource) -> tuple[Map, Value]:
        """The wanted attributes and replace_when values, everything known. Secrets that are not in memory are read again."""
        wanted = self.live.resolve(resource.attributes)
        if self.live.needs_reading:
            await self.read_again()
            wanted = self.live.resolve(resource.attributes)
        if not is_known(wanted):
            unknown = next(path for path, leaf in leaves(wanted) if not is_known(leaf))
            raise self._not_known(unknown, resource)
        return wanted, self.live.resolve(resource.lifecycle.replace_when)

    def _not_known(self, path: Path, resource: Resource) -> Invalid:
        asked = {ref.address for ref in references(lookup(resource.attributes, path[:1]))}
        lost = sorted(asked & self.live.unreadable)
        if lost:
            return Invalid(
                f"{path_text(path)} needs a secret of {lost[0]}, which was made by an earlier apply: the state keeps only its digest, "
                "and its provider does not tell it again",
                path=path,
                hint="configure state.encryption, so that such secrets are kept, and replace it once: "
                f"mlinfra apply --replace {lost[0]}",
            )
        return Invalid(
            f"{path_text(path)} is still not known: what it refers to has not been made or has no such attribute", path=path
        )

    async def read_again(self) -> None:
        """Read the objects whose secrets are neither in memory nor kept by the state."""
        for address in sorted(self.live.needs_reading):
            recorded = self.session.ledger.resources.get((address, ""))
            if recorded is not None:
                bound = await self.connections.bind(recorded.type, recorded.provider)
                found = await call(lambda b=bound, r=recorded: b.type.read(b.client, r), bound.limiter, provider=bound.provider)  # type: ignore[misc]
                if found is not None:
                    self.live.set(address, recorded.id, attributes_of(bound.type.schema, recorded.attributes, found))
            self.live.unreadable.add(address)  # what is not known now, nobody will tell
            self.live.needs_reading.discard(address)

    @staticmethod
    def _desired(resource: Resource, wanted: Map) -> Desired:
        return _desired(address=made_at(resource), type=resource.type, attributes=wanted, timeout=resource.lifecycle.timeout)

    async def _call(
        self, index: int, bound: Bound, resource: Resource | None, act: Callable[[], Awaitable[Observed | None]],
        already: Callable[[], Awaitable[Observed | None]] | None = None,
    ) -> Observed:  # fmt: skip
        if bound.type.schema.virtual:
            answer = await act()
            return answer  # type: ignore[return-value]

        async def sent() -> Observed | None:
            self.session.check()  # a holder that lost its lock must not change the world: nobody would record it
            return await act()

        address = self.plan.changes[self.plan.steps[index].change].address

        def retried(attempt: int, wait: float, reason: str) -> None:
            self.sink(StepRetry(step=index, address=address, attempt=attempt, wait=wait, reason=reason))

        work = call(sent, bound.limiter, provider=bound.provider, retried=retried, before_retry=already)
        timeout = resource.lifecycle.timeout if resource else None
        try:
            found = await asyncio.wait_for(work, timeout) if timeout else await work
        except TimeoutError:
            raise Timeout(
                f"it took longer than {timeout:.0f} s", hint="raise lifecycle.timeout if it only needs more time"
            ) from None
        return found  # type: ignore[return-value]


def _is_told_once(schema: Schema, name: str) -> bool:
    """Whether the attribute is one that a cloud tells when it makes the object, and perhaps never again: a password."""
    attribute = schema.attributes.get(name)
    return attribute is not None and attribute.computed and attribute.sensitive


async def _nothing(work: Awaitable[None]) -> None:
    await work
