"""Runs that a cloud's own service carries out, once for each fingerprint: what is the same wherever a client stores blobs.

:class:`KeptJob` is a training job, :class:`KeptPipeline` a pipeline. A target says how a job is started, found again after a crash, awaited and
taken away; who owns a name, what was done already, what it left and what it said when it failed lies in its store (:mod:`.kept`).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, ClassVar

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute
from mlinfra.model.values import EMPTY, Map, Value, freeze
from mlinfra.provider.failures import Invalid, NotFound
from mlinfra.provider.runs import jobs, kept
from mlinfra.provider.runs.expectations import broken
from mlinfra.provider.runs.fingerprints import of_job, of_pipeline
from mlinfra.provider.runs.jobs import DONE

DEFERRED = "deferred"
"""The ``status`` while ``run_on_apply`` is off and nothing ran."""
PLACE: Mapping[str, Attribute] = MappingProxyType(
    {
        "name": Attribute(type="string", required=True, immutable=True, source="its results are kept under it"),
        "bucket": Attribute(type="string", required=True, immutable=True, source="the bucket that holds what it leaves"),
        "image": Attribute(type="string", required=True),
    }
)
"""What every kept run has beside what it runs: under which name and where its results are kept, and what its containers are made of."""
PIPELINE: Mapping[str, Attribute] = MappingProxyType(
    {
        "code": Attribute(type="map", required=True),
        "steps": Attribute(type="map", required=True),
        "requirements": Attribute(type="any"),
        "run_on_apply": Attribute(type="boolean"),
        "id": Attribute(type="string", computed=True),
        "outputs": Attribute(type="map", computed=True),
        "metrics": Attribute(type="map", computed=True),
        "fingerprint": Attribute(type="string", computed=True),
        "status": Attribute(type="string", computed=True),
        "url": Attribute(type="string", computed=True, description="where a person sees the newest run"),
    }
)
"""The attributes of :func:`mlinfra.provider.runs.lowering.pipeline`, and those that a run gives. ``outputs`` are URIs by content, so that a
run that gives the same moves nothing downstream."""
JOB_INPUTS = ("code", "run", "params", "env", "inputs", "outputs", "requirements", "processes", "image", "status")
PIPELINE_INPUTS = ("code", "steps", "requirements", "image", "run_on_apply", "fingerprint", "status")


class _Kept:
    """``lost`` is the status when what a run left is gone; ``at`` names the attribute that a failed run is told at; ``computed`` those
    that stay as they were recorded as long as nothing runs."""

    lost: ClassVar[str]
    at: ClassVar[str]
    computed: ClassVar[tuple[str, ...]] = ()
    forgotten: ClassVar[Mapping[str, Value]] = EMPTY
    """What a record whose results are gone no longer says."""

    # what a target says

    async def start(self, client: Any, desired: Desired, token: str, mark: str, made: Mapping[str, Value]) -> Any:
        """Start the job of this operation, marked as ours; the job."""
        raise NotImplementedError

    async def started(self, client: Any, desired: Desired, token: str) -> Any | None:
        """The job that the operation started before a crash; None when it started none."""
        raise NotImplementedError

    async def ended(self, client: Any, desired: Desired, job: Any) -> None:
        """Wait until the job has succeeded. Invalid when it failed, with a hint where its log is."""
        raise NotImplementedError

    async def remove(self, client: Any, recorded: ResourceState) -> None:
        """Take away the jobs that were started for it; what others started under the same name stays."""
        raise NotImplementedError

    async def prepared(self, client: Any, wanted: Map) -> Mapping[str, Value]:
        """What must be in place though nothing runs (a schedule's archive); computed attributes that this gives."""
        return EMPTY

    def url(self, job: Any) -> str:
        """Where a person sees the job."""
        return ""

    # what the kind of run says

    def mark(self, wanted: Map) -> str:
        raise NotImplementedError

    def steps(self, wanted: Map) -> Sequence[str]:
        raise NotImplementedError

    def accept(self, wanted: Map, outcome: kept.Outcome) -> None:
        """Invalid where an earlier run's results are not what is expected now."""

    def gave(self, wanted: Map, mark: str, outcome: kept.Outcome, status: str) -> Mapping[str, Value]:
        raise NotImplementedError

    # the engine's side

    async def read(self, client: Any, recorded: ResourceState) -> Observed | None:
        known = recorded.attributes
        place, name, mark = str(known["bucket"]), str(known["name"]), str(known.get("fingerprint") or "")
        if await kept.owner(client, place, name) is None:
            return None
        outcome = await kept.recall(client, place, name, mark, self.steps(known)) if mark else None
        if outcome is None:
            status = DEFERRED if known.get("status") == DEFERRED else self.lost
            return Observed(name, Map({**known, "status": status, **self.forgotten}))
        return self._observed(known, mark, outcome, DONE, {n: known.get(n) for n in self.computed})

    async def create(self, client: Any, desired: Desired, token: str) -> Observed:
        wanted = desired.attributes
        await kept.claim(client, str(wanted["bucket"]), str(wanted["name"]), desired.address, token)
        return await self._make(client, desired, token)

    async def update(self, client: Any, recorded: ResourceState, desired: Desired) -> Observed:
        return await self._make(client, desired, uuid.uuid4().hex)

    async def delete(self, client: Any, recorded: ResourceState) -> None:
        """Its jobs and records go; content goes with the bucket, for others may refer to it."""
        await self.remove(client, recorded)
        with suppress(NotFound):
            await kept.forget(client, str(recorded.attributes["bucket"]), str(recorded.attributes["name"]))

    async def find(self, client: Any, desired: Desired, token: str) -> Observed | None:
        wanted = desired.attributes
        place, name = str(wanted["bucket"]), str(wanted["name"])
        job = await self.started(client, desired, token)
        if job is not None:
            return await self._finish(client, desired, job, await self.prepared(client, wanted))
        owner = await kept.owner(client, place, name)
        if owner is None or owner["op"] != token:
            return None
        made, mark = await self.prepared(client, wanted), self.mark(wanted)
        outcome = await kept.recall(client, place, name, mark, self.steps(wanted))
        if outcome is not None:
            return self._observed(wanted, mark, outcome, DONE, made)
        return self._observed(wanted, "", None, DEFERRED if wanted.get("run_on_apply") is False else self.lost, made)

    async def _make(self, client: Any, desired: Desired, token: str) -> Observed:
        wanted = desired.attributes
        place, name, mark = str(wanted["bucket"]), str(wanted["name"]), self.mark(wanted)
        made = await self.prepared(client, wanted)
        outcome = await kept.recall(client, place, name, mark, self.steps(wanted))
        if outcome is not None:
            self.accept(wanted, outcome)
            return self._observed(wanted, mark, outcome, DONE, made)
        if not wanted.get("run_on_apply", True):
            return self._observed(wanted, "", None, DEFERRED, made)
        await kept.forget(client, place, name, mark)
        return await self._finish(client, desired, await self.start(client, desired, token, mark, made), made)

    async def _finish(self, client: Any, desired: Desired, job: Any, made: Mapping[str, Value]) -> Observed:
        """What the job gave, once it has ended; when it failed, what its step said of it."""
        wanted = desired.attributes
        place, name, mark, steps = str(wanted["bucket"]), str(wanted["name"]), self.mark(wanted), self.steps(wanted)
        try:
            await self.ended(client, desired, job)
        except Invalid as failure:
            said = await kept.complaint(client, place, name, mark, steps)
            raise Invalid(said or failure.message, path=(self.at,), hint=failure.hint) from failure
        outcome = await kept.recall(client, place, name, mark, steps)
        if outcome is None:
            raise Invalid(f"{name} ended well, but left no results in {place}", hint="was that emptied meanwhile?")
        return self._observed(wanted, mark, outcome, DONE, {**made, "url": self.url(job)})

    def _observed(self, wanted: Map, mark: str, outcome: kept.Outcome | None, status: str, made: Mapping[str, Value]) -> Observed:
        computed: dict[str, Value] = {n: "" if n == "url" else None for n in self.computed} | {
            n: v for n, v in made.items() if n in self.computed
        }
        gave = self.gave(wanted, mark, outcome or kept.Outcome(), status)
        return Observed(str(wanted["name"]), Map({**wanted, **computed, **gave}))


class KeptJob(_Kept):
    """A training job: one step, called ``run``. ``results`` maps each output to the URI of its content; ``artifact`` is that of ``model``, or
    of the first one. ``status``: ``done``, ``lost`` when what it left is gone, ``deferred``."""

    lost, at = "lost", "run"

    def mark(self, wanted: Map) -> str:
        return of_job(wanted, more={"image": wanted.get("image")})

    def steps(self, wanted: Map) -> Sequence[str]:
        return ("run",)

    def accept(self, wanted: Map, outcome: kept.Outcome) -> None:
        """What is expected of metrics may have changed since; tables were checked where they were written."""
        expected = {k: v for k, v in wanted.get("expect", EMPTY).items() if k in outcome.metrics}
        problems: Iterable[str] = broken(expected, outcome.metrics, ())
        if problems:
            raise Invalid("; ".join(problems), path=("expect",))

    def gave(self, wanted: Map, mark: str, outcome: kept.Outcome, status: str) -> Mapping[str, Value]:
        return jobs.computed(wanted, mark, outcome.outputs, outcome.digests, Map(outcome.metrics), status)


class KeptPipeline(_Kept):
    """A pipeline. ``status``: ``done``, ``incomplete`` when what it left is gone, ``deferred``."""

    lost, at = "incomplete", "steps"
    computed: ClassVar[tuple[str, ...]] = ("url",)
    forgotten = Map(fingerprint="")

    def mark(self, wanted: Map) -> str:
        return of_pipeline(wanted)

    def steps(self, wanted: Map) -> Sequence[str]:
        return tuple(wanted["steps"])

    def gave(self, wanted: Map, mark: str, outcome: kept.Outcome, status: str) -> Mapping[str, Value]:
        declared = [o for step in wanted["steps"].values() for o in step.get("outputs", ())]
        return {
            "id": wanted["name"],
            "outputs": Map({o: outcome.outputs.get(o) for o in declared}),
            "metrics": freeze(dict(outcome.metrics)),
            "fingerprint": mark,
            "status": status,
        }
