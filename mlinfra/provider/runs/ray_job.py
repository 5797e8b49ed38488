"""``TARGET.ray_run``: a training job as a job of a Ray cluster in the cloud, its results kept in the cloud's store.

It is submitted to the head by Ray's HTTP API, with its code as the job's working directory. Ray starts it on a node that has a CPU free (the head has
none to give); it spreads its own work over the cluster (``ray.init()``, Ray Train). Data goes between the nodes and the store, never through here.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import tarfile
import time
import zipfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from importlib import resources
from typing import Any, ClassVar

from mlinfra.model.resource import Desired, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import EMPTY, Map, Path, Value
from mlinfra.provider.failures import Failure, Invalid, NotFound, Timeout, Transient
from mlinfra.provider.limiter import waiting
from mlinfra.provider.planned import as_planned
from mlinfra.provider.progress import say
from mlinfra.provider.runs import archive, given, jobs, kept, packed, ray_api
from mlinfra.provider.runs.kept_run import JOB_INPUTS, PLACE, KeptJob
from mlinfra.provider.runs.results import LAST_LINES, quoted
from mlinfra.provider.runs.words import text

_PLAIN = "Ray shows this in its dashboard: let the code read the secret from the cloud's secret store"
_ENDED = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})
_BOOT = 1200.0
"""Seconds that a new head may take until it answers: the machine boots and installs Ray."""
_REMOVALS = 10
"""Looks at what is left before it is given up: records of jobs do no harm."""
_POLL = 2.0


class RayRun(KeptJob):
    """``dashboard`` is the head's address (``http://HOST:8265``), ``bucket`` the place in the store. A provider says its package, whose
    ``container/ray_entry.py`` runs on the nodes, and the scheme of its URIs; its client is a :class:`mlinfra.provider.runs.kept.Store` with
    ``excluded``."""

    package: ClassVar[str]
    scheme: ClassVar[str]
    tunnel: ClassVar[str]
    """What to do where the head cannot be reached from here."""

    schema = Schema(
        attributes={
            **{name: attribute for name, attribute in PLACE.items() if name != "image"},
            "dashboard": Attribute(type="string", required=True, description="where the head answers"),
            "cluster": Attribute(type="string"),
            **{name: attribute for name, attribute in jobs.ATTRIBUTES.items() if name != "processes"},
        },
        predict=jobs.predict,
        runs=True,
        run_inputs=tuple(name for name in JOB_INPUTS if name not in ("image", "processes")),
        inside=("bucket",),
    )

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        return jobs.problems(attributes, exposed=("run", "params", "inputs", "env"), why=_PLAIN)

    async def start(self, client: Any, desired: Desired, token: str, mark: str, made: Mapping[str, Value]) -> Any:
        wanted = desired.attributes
        bucket, dashboard, submission = str(wanted["bucket"]), str(wanted["dashboard"]), _submission(wanted, token)
        uris = {n: await kept.bring(client, bucket, n, v, scheme=self.scheme) for n, v in wanted.get("inputs", EMPTY).items()}
        lines = given.requirements(client.base, wanted.get("requirements"))
        run = packed.describe(str(wanted["name"]), jobs.as_steps(wanted), {"run": uris}, lines, place=bucket)
        package = await asyncio.to_thread(self._package, client, wanted["code"], run)
        await self._up(dashboard)
        name = f"mlinfra-{hashlib.sha256(package).hexdigest()[:32]}.zip"
        uri = await asyncio.to_thread(ray_api.upload, dashboard, name, package)
        environment = {"PYTHONUNBUFFERED": "1", **{k: text(v) for k, v in wanted.get("env", EMPTY).items()}}
        await asyncio.to_thread(
            lambda: ray_api.submit(
                dashboard, f"python ray_entry.py {mark}", submission,
                runtime_env={"working_dir": uri, "env_vars": environment}, entrypoint_num_cpus=1,
                metadata={"mlinfra-address": desired.address, "mlinfra-op": token},
            )
        )  # fmt: skip
        return submission

    async def started(self, client: Any, desired: Desired, token: str) -> Any | None:
        wanted = desired.attributes
        submission = _submission(wanted, token)
        there = await asyncio.to_thread(ray_api.found, str(wanted["dashboard"]), submission)
        return submission if there else None

    async def ended(self, client: Any, desired: Desired, job: Any) -> None:
        """Show its output until it has ended; after ``timeout`` it is stopped."""
        wanted = desired.attributes
        dashboard, limit = str(wanted["dashboard"]), wanted.get("timeout") or desired.timeout
        until = time.monotonic() + limit if limit else None
        shown, said = 0, ""
        while True:
            state, message = await asyncio.to_thread(ray_api.status, dashboard, job)
            if state != "PENDING":
                lines = (await asyncio.to_thread(ray_api.log, dashboard, job)).splitlines()
                whole = lines if state in _ENDED else lines[:-1]
                for line in whole[shown:]:
                    say(line)
                shown = len(whole)
            elif message != said:
                said = message
                say(f"waiting for a node with a free CPU: {message}" if message else "waiting for a node with a free CPU")
            if state == "SUCCEEDED":
                return
            if state in _ENDED:
                why = message.strip().splitlines()[0] if message.strip() else state
                raise Invalid(f"`{wanted['run']}`: {why}{quoted(lines[-LAST_LINES:])}", hint=f"its log: {dashboard}/#/jobs/{job}")
            if until is not None and time.monotonic() > until:
                await asyncio.to_thread(ray_api.stop, dashboard, job)
                raise Timeout(f"`{wanted['run']}` was stopped after {limit:g} seconds, {state.lower()} until then")
            async with waiting():
                await asyncio.sleep(_POLL)

    async def remove(self, client: Any, recorded: ResourceState) -> None:
        """Ray's records of its jobs go; one that runs is stopped first. A cluster that is gone took them along."""
        dashboard, prefix = str(recorded.attributes["dashboard"]), f"{recorded.id}-"
        for _ in range(_REMOVALS):
            try:
                found = await asyncio.to_thread(ray_api.submissions, dashboard, prefix)
            except Failure:
                return
            if not found:
                return
            for submission, state in found.items():
                end = ray_api.remove if state in _ENDED else ray_api.stop
                with suppress(Failure):  # Ray refuses while it is still clearing up after a job
                    await asyncio.to_thread(end, dashboard, submission)
            async with waiting():
                await asyncio.sleep(_POLL / 4)

    async def logs(self, client: Any, recorded: ResourceState, *, follow: bool) -> AsyncIterator[str]:
        """What its newest job wrote, as far as the cluster remembers it."""
        dashboard = str(recorded.attributes["dashboard"])
        try:
            found = await asyncio.to_thread(ray_api.submissions, dashboard, f"{recorded.id}-")
            told = await asyncio.to_thread(ray_api.log, dashboard, next(iter(found))) if found else ""
        except (NotFound, Transient):
            told = ""
        for line in told.splitlines():
            yield line

    def _package(self, client: Any, code: Mapping[str, Any], run: str) -> bytes:
        """The job's working directory: the archive of every target, as the zip that Ray takes."""
        path, digest = str(code["path"]), str(code["digest"])
        selected = as_planned(
            client.base, path, digest, what=f"the code in {path}", mode="code", excluded=client.excluded, at=("code",)
        )
        program = resources.files(self.package).joinpath("container/ray_entry.py").read_bytes()
        raw = io.BytesIO()
        with tarfile.open(fileobj=io.BytesIO(archive.packed(program, run, selected))) as tar, zipfile.ZipFile(raw, "w") as zipped:
            for member in tar:
                held = tar.extractfile(member)
                assert held is not None
                entry = zipfile.ZipInfo("ray_entry.py" if member.name == "entry.py" else member.name)
                entry.external_attr, entry.compress_type = member.mode << 16, zipfile.ZIP_DEFLATED
                zipped.writestr(entry, held.read())
        return raw.getvalue()

    async def _up(self, dashboard: str) -> None:
        """Wait for a head that still boots."""
        until = time.monotonic() + _BOOT
        said = False
        while True:
            try:
                await asyncio.to_thread(ray_api.submissions, dashboard, "-")
                return
            except Transient as failure:
                if time.monotonic() > until:
                    raise Timeout(
                        f"{failure.message}, for {_BOOT / 60:.0f} minutes", path=("dashboard",), hint=self.tunnel
                    ) from None
                if not said:
                    said = True
                    say(f"waiting for the Ray head at {dashboard}; it must be reachable from here: {self.tunnel}")
            async with waiting():
                await asyncio.sleep(5 * _POLL)


def _submission(wanted: Map, token: str) -> str:
    return f"{wanted['name']}-{token[:16]}"
