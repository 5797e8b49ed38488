"""Executes a plan: every step through its provider, every result durable before the next step sees it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import field

from mlinfra.apply.announcer import Announcer
from mlinfra.apply.live import Live
from mlinfra.apply.operations import Operations, Result
from mlinfra.apply.scheduler import Fate, run_graph
from mlinfra.apply.stop import Stop
from mlinfra.model.dataclass import dataclass, maker, replace
from mlinfra.model.diagnostic import Diagnostic, Span
from mlinfra.model.errors import Interrupted, MlinfraError
from mlinfra.model.events import ApplyFinished, Sink, StepBlocked, StepFailed, StepFinished, StepStarted
from mlinfra.model.plan import Operation, Plan
from mlinfra.model.resource import Resource
from mlinfra.model.values import EMPTY, Map, Path, Sealed, Secret, SecretDigest, SecretRef, Value, holds, is_known
from mlinfra.provider.connections import Connections
from mlinfra.provider.failures import AlreadyExists, Failure
from mlinfra.state.entries import Drop, Entry, Outputs, Record, Rename
from mlinfra.state.session import Session

_started, _finished = maker(StepStarted), maker(StepFinished)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``outputs`` holds values (sensitive ones as Secret); ``failures`` is empty when everything worked."""

    summary: ApplyFinished
    outputs: Map = EMPTY
    failures: tuple[Diagnostic, ...] = ()
    interrupted: bool = False


@dataclass(slots=True)
class _Tally:
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[Diagnostic] = field(default_factory=list)


Locate = Callable[[Resource, Path], Span | None]
"""Where an attribute of a resource was written."""


def _at_its_block(resource: Resource, path: Path) -> Span | None:
    return resource.span


async def execute(
    plan: Plan,
    session: Session,
    connections: Connections,
    sink: Sink,
    stop: Stop,
    secrets: Mapping[SecretRef, Secret] | None = None,
    *,
    locate: Locate = _at_its_block,
) -> Outcome:
    """Run the plan's steps. Failures of steps are collected, not raised; losing the state's lock or store is raised.
    ``secrets``: what was fetched for ``secret("…")``; ``locate``: where an attribute was written."""
    return await _Executor(plan, session, connections, sink, stop, secrets, locate).run()


class _Executor:
    def __init__(
        self,
        plan: Plan,
        session: Session,
        connections: Connections,
        sink: Sink,
        stop: Stop,
        secrets: Mapping[SecretRef, Secret] | None,
        locate: Locate,
    ) -> None:
        self.locate = locate
        self.plan = plan
        self.session = session
        self.sink = sink
        self.announcer = Announcer(sink)
        self.stop = stop
        self.live = Live(plan, session.ledger, session.sealer, secrets)
        self.operations = Operations(plan, session, connections, self.live, self.announcer.tell)
        self.tally = _Tally()
        self.results: dict[int, tuple[Result, float]] = {}

    async def run(self) -> Outcome:
        began = time.monotonic()
        await self._take_notes()
        steps = self.plan.steps
        self.tally.failures.extend(self.plan.blocked)
        self.tally.counts["blocked"] += len(self.plan.blocked)
        fates = await run_graph([s.needs for s in steps], self._work, self._done, self._blocked, self.stop)
        await self.session.settled()
        interrupted = self.stop.level > 0 and any(f is not Fate.DONE for f in fates)
        outputs = EMPTY
        if self.plan.mode != "refresh_only":
            outputs = await self._outputs(complete=all(f is Fate.DONE for f in fates) and not self.plan.blocked)
        counts = self.tally.counts
        summary = ApplyFinished(
            added=counts["added"], changed=counts["changed"], destroyed=counts["destroyed"], failed=counts["failed"],
            blocked=counts["blocked"], unchanged=counts["unchanged"], elapsed=time.monotonic() - began,
            imported=counts["imported"],
        )  # fmt: skip
        self.sink(summary)
        return Outcome(summary=summary, outputs=outputs, failures=tuple(self.tally.failures), interrupted=interrupted)

    async def _take_notes(self) -> None:
        """Moves, what refresh saw, and what is gone: recorded before the first step."""
        entries: list[Entry] = []
        if self.plan.moves:
            entries.append(Rename(moves=Map(dict(self.plan.moves))))
        for r in self.plan.records:
            schema = self.operations.schema(r.type)
            sealed = self.session.sealer.seal_attributes(r.attributes, schema, r.inputs)
            entries.append(Record(resource=replace(r, attributes=sealed, version=r.version + 1)))
        entries.extend(Drop(address=a, deposed=d) for a, d in self.plan.gone if (a, d) in self.session.ledger.resources)
        if entries:
            await self.session.append(*entries)

    async def _work(self, index: int) -> bool:
        step = self.plan.steps[index]
        change = self.plan.changes[step.change]
        operation = step.operation.value
        began = time.monotonic()
        runs = change.runs and step.operation in (Operation.CREATE, Operation.UPDATE)
        self.announcer.tell(_started(step=index, address=change.address, type=change.type, operation=operation, runs=runs))
        try:
            result = await self.operations.perform(index)
        except Failure as failure:
            self._failed(index, failure.code, failure.message, failure.hint or self._way_out(index, failure), failure.path, began)
            return False
        except Interrupted:
            self._failed(index, "apply.cancelled", "cancelled; the next run looks up what became of it", "", (), began)
            return False
        except asyncio.CancelledError:
            if self.stop.level < 2:
                raise
            self._failed(index, "apply.cancelled", "cancelled; the next run looks up what became of it", "", (), began)
            return False
        self.results[index] = result, time.monotonic() - began
        return True

    def _done(self, index: int) -> None:
        """Count a step that worked, and tell of it once it is on record."""
        step = self.plan.steps[index]
        change = self.plan.changes[step.change]
        result, elapsed = self.results.pop(index)
        self._count(step.operation, result)
        finished = _finished(
            step=index, address=change.address, type=change.type, operation=step.operation.value,
            elapsed=elapsed, id=result.id, unchanged=result.unchanged,
        )  # fmt: skip
        self.announcer.tell(finished, result.durable)

    def _count(self, operation: Operation, result: Result) -> None:
        if result.unchanged:
            self.tally.counts["unchanged"] += operation is not Operation.DELETE
            return
        name = _COUNTED.get(operation)
        if name:
            self.tally.counts[name] += 1

    def _way_out(self, index: int, failure: Failure) -> str:
        address = self.plan.changes[self.plan.steps[index].change].address
        return failure.way_out(address) if isinstance(failure, AlreadyExists) else ""

    def _failed(self, index: int, code: str, message: str, hint: str, path: Path, began: float) -> None:
        step = self.plan.steps[index]
        change = self.plan.changes[step.change]
        resource = self.plan.resources.get(change.address)
        diagnostic = Diagnostic(
            code=code, message=f"{step.operation.value} {change.address} ({change.type}): {message}", hint=hint,
            address=change.address, path=path, span=self.locate(resource, path) if resource else None,
        )  # fmt: skip
        self.tally.failures.append(diagnostic)
        self.tally.counts["failed"] += 1
        self.announcer.tell(
            StepFailed(
                step=index, address=change.address, type=change.type, operation=step.operation.value,
                elapsed=time.monotonic() - began, diagnostic=diagnostic,
            )
        )  # fmt: skip

    def _blocked(self, index: int, cause: int) -> None:
        step = self.plan.steps[index]
        self.tally.counts["blocked"] += 1
        because = self.plan.changes[self.plan.steps[cause].change].address if cause >= 0 else ""
        address = self.plan.changes[step.change].address
        self.announcer.tell(StepBlocked(step=index, address=address, operation=step.operation.value, cause=because))

    async def _outputs(self, *, complete: bool) -> Map:
        """Evaluate the outputs and record them. After a failure, those that cannot be known keep their last value."""
        ledger = self.session.ledger
        values: dict[str, object] = {}
        sealed: dict[str, object] = {}
        sensitive = set(self.plan.sensitive_outputs)
        self.live.resolve(self.plan.outputs)
        if self.live.needs_reading and complete:
            with suppress(Failure):  # what cannot be read now keeps its last value
                await self.operations.read_again()
        for name, tree in self.plan.outputs.items():
            value = self.live.resolve(tree)
            if not is_known(value):
                if name in ledger.outputs:
                    sealed[name] = ledger.outputs[name]
                continue
            if holds(value, (Secret, SecretDigest)):  # a digest: the plan came from a file
                sensitive.add(name)
            elif name in sensitive:
                value = Secret(value)
            values[name] = value
            sealed[name] = self._kept(self.session.sealer.keep(value), ledger.outputs.get(name))
        names = tuple(sorted(sensitive & sealed.keys()))
        if not complete and not self.plan.outputs:
            return Map(values)
        if not _identical(sealed, ledger.outputs) or names != ledger.sensitive_outputs:
            try:
                await self.session.append(Outputs(values=Map(sealed), sensitive=names))
            except MlinfraError:
                if complete:
                    raise
        return Map(values)

    @staticmethod
    def _kept(sealed: Value, recorded: Value) -> Value:
        """``recorded`` where it is the same secret, encrypted already: a new ciphertext would be no news."""
        return recorded if isinstance(recorded, Sealed) and recorded == sealed else sealed


_COUNTED = {
    Operation.CREATE: "added",
    Operation.UPDATE: "changed",
    Operation.DELETE: "destroyed",
    Operation.IMPORT: "imported",
    Operation.FORGET: "forgotten",
}


def _identical(sealed: Mapping[str, Value], recorded: Map) -> bool:
    """Whether the outputs are recorded as they should be: same values, and encrypted where they should be."""
    return sealed == recorded and all(isinstance(recorded[n], Sealed) for n, v in sealed.items() if isinstance(v, Sealed))
