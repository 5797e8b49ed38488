"""How an object of a row changes: patches, setters, and the wait until it is ready."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import Map, Secret, SecretDigest, Value, is_known, reveal, thaw
from mlinfra.provider import ownership
from mlinfra.provider.failures import Failure, Timeout, Transient
from mlinfra.provider.progress import say
from mlinfra_gcp import marks
from mlinfra_gcp.client import GcpClient
from mlinfra_gcp.engine.bodied import Bodied
from mlinfra_gcp.operations import PATIENCE, finished
from mlinfra_gcp.shape import alike
from mlinfra_gcp.table import Body


class Changed(Bodied):
    """Changes objects in place, against the version that was seen."""

    async def settled(self, client: GcpClient, identity: str, desired: Desired, body: Body | None) -> Observed:
        """The object once it is ready. A Failure of ``ready`` carries what stands."""
        deadline = time.monotonic() + (desired.timeout or PATIENCE)
        attempt = 0
        while True:
            body = body or await self.get(client, identity)
            if body is None:
                raise Transient(f"{identity} cannot be seen yet")
            seen = self.observed(client, identity, body, self.placed(client, desired.attributes))
            try:
                doing = self.row.ready(body) if self.row.ready else None
            except Failure as failure:
                failure.partial = seen
                raise
            if doing is None:
                return seen
            if time.monotonic() > deadline:
                raise Timeout(f"{identity} is still {doing}", partial=seen)
            say(f"{self.short(identity)}: {doing}")
            await client.pause(attempt)
            attempt, body = attempt + 1, None

    def changed(self, recorded: Mapping[str, Value], wanted: Mapping[str, Value]) -> list[str]:
        """The properties that are to be another than they are."""
        return [n for n in self.row.properties if not _same(recorded.get(n), wanted.get(n))]

    def patch_request(
        self, client: GcpClient, recorded: ResourceState, wanted: Map, names: Sequence[str], live: Body
    ) -> tuple[dict[str, Any], Body]:
        """Parameters and body of the patch that changes ``names``, against the version of ``live``."""
        params = self._id_params("patch", recorded.id)
        body: Body = {n: thaw(reveal(wanted[n])) for n in names if wanted.get(n) is not None}
        top = str(self.row.marks[0])
        if top in names:
            labels, line = self._marks_of(live, client, recorded)
            self._mark(client, body, labels, line)
        if self.row.changes == "merge":
            for name in names:
                body[name] = _merge_patch(live.get(name), body.get(name))
            for name, prop in self.row.document.properties(self.row.schema).items():
                if f"{self.row.document.service}.{self.row.collection}.patch" in _named(prop) and name not in body:
                    body[name] = live.get(name)
            if "fingerprint" in live and "fingerprint" in self.row.document.properties(self.row.schema):
                body["fingerprint"] = live["fingerprint"]
        else:
            params["updateMask"] = ",".join(names)
        known = self.row.document.properties(self.row.schema)
        if "etag" in live and "etag" in known and not known["etag"].get("output") and self.row.doc not in ("iam.v1",):
            body["etag"] = live["etag"]
        if "metageneration" in live:
            params["ifMetagenerationMatch"] = live["metageneration"]
        return params, self.patch_body(body, names, recorded)

    async def _patch(
        self, client: GcpClient, recorded: ResourceState, wanted: Map, names: Sequence[str], live: Body, desired: Desired
    ) -> None:
        params, body = self.patch_request(client, recorded, wanted, names, live)
        answer = await client.call(self.row.doc, self._method("patch"), params, body)
        await finished(client, self.row.doc, answer, what=f"changing {recorded.id.rpartition('/')[2]}", limit=desired.timeout)

    def patch_body(self, body: Body, names: Sequence[str], recorded: ResourceState) -> Body:
        """The patch request's body."""
        return body

    async def _set(self, client: GcpClient, identity: str, name: str, wanted: Map, live: Body, desired: Desired) -> None:
        setter = self.row.setters[name]
        value = thaw(reveal(wanted.get(name)))
        if (name,) == self.row.marks:
            value = {**client.config.labels, **(value or {}), **marks.own_labels(live.get(name) or {})}
        answer = await client.call(
            self.row.doc, self._method(setter.method), self._id_params(setter.method, identity), setter.body(value, live)
        )
        await finished(client, self.row.doc, answer, what=f"changing {name} of {self.short(identity)}", limit=desired.timeout)

    def _marks_of(self, live: Body, client: GcpClient, recorded: ResourceState) -> tuple[dict[str, Any], str]:
        """The marks that it has; of what was imported, none."""
        value = self._labels(live)
        if self.row.marks[-1] == "description":
            return {}, ownership.line_of(str(value or ""))
        return marks.own_labels(value or {}), ""


def _same(recorded: Value, wanted: Value) -> bool:
    if recorded is None or wanted is None:
        return recorded is wanted
    if any(isinstance(v, (Secret, SecretDigest)) for v in (recorded, wanted)):
        return False
    return is_known(wanted) and alike(recorded, wanted)


def _named(prop: Mapping[str, Any]) -> Sequence[str]:
    """The methods that require a property, where the document names them."""
    required = prop.get("required")
    return required if isinstance(required, list) else ()


def _merge_patch(live: Any, wanted: Any) -> Any:
    """RFC 7386: what is wanted no more is null."""
    if isinstance(live, dict) and isinstance(wanted, dict):
        gone = {k: None for k in live if k not in wanted}
        return {**gone, **{k: _merge_patch(live.get(k), v) for k, v in wanted.items()}}
    return wanted
