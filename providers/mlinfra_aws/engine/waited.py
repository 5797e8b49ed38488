"""Waiting until an object is ready, or no more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from mlinfra.model.resource import Observed
from mlinfra.provider.failures import Invalid, Timeout
from mlinfra.provider.limiter import waiting
from mlinfra.provider.progress import say
from mlinfra_aws.client import Aws
from mlinfra_aws.engine.answers import Raw, dig, half
from mlinfra_aws.engine.seen import Seen


class Waited(Seen):
    """Waits for states. Many that are waited for at once are looked at together."""

    async def _settle(self, client: Aws, observed: Observed, patience: float | None) -> Raw:
        """Wait until the object is ready. It failed: Invalid, with what stands as its half."""
        states = self.table.states
        assert states is not None
        raw = await self.until(client, observed, states.ready | states.failed, patience)
        if raw is not None and raw["state"] in states.failed:
            reason = await client.run(self._reason, client, observed.id)
            failure = Invalid(f"{observed.id} is {raw['state']}: {reason or 'AWS gives no reason'}", partial=half(observed))
            self.place(failure, observed.attributes)
            raise failure
        return raw or {}

    async def until(
        self, client: Aws, observed: Observed, ends: frozenset[str], patience: float | None = None, *, gone: bool = False
    ) -> Raw | None:
        """Look again and again until the object is in one of these states, or (``gone``) is no more. Many that are waited for at
        once are looked at together. Holds no slot meanwhile."""
        states = self.table.states
        assert states is not None
        limit = patience or states.limit
        until = time.monotonic() + limit
        pause = 0.0
        while True:
            async with waiting():
                await asyncio.sleep(pause)
                raw: Raw | None = await client.batcher.ask(
                    f"{self.table.type} state", observed.id, lambda ids: self._states(client, ids)
                )
            if raw is None and gone:
                return None
            state = raw["state"] if raw is not None else ""
            if state in ends:
                return raw
            if time.monotonic() > until:
                raise Timeout(
                    f"{observed.id} is still {state or 'not there'} after {limit / 60:.0f} minutes", partial=half(observed)
                )
            say(f"{observed.id} is {state}" if state else f"{observed.id} is not there yet")
            pause = min(states.pace, pause * 1.6 + 0.5)

    async def _states(self, client: Aws, ids: frozenset[str]) -> Mapping[str, Any]:
        states, listing = self.table.states, self.table.listing
        assert states is not None
        found: dict[str, Any] = {}
        if listing is not None and listing.status and len(ids) > 1:
            listed, _ = await client.run(self._list, client, len(ids))
            found = {i: {"state": str(dig(r, listing.status) or ""), **r} for i, r in listed.items() if i in ids}
        left = sorted(ids - found.keys())
        looked = await asyncio.gather(*[client.run(self._look, client, id, client.insist) for id in left])
        found.update({i: {"state": self.state_of(raw), **raw} for i, raw in zip(left, looked, strict=True) if raw is not None})
        return found

    def state_of(self, raw: Raw) -> str:
        """The state that a read answer tells."""
        assert self.table.states is not None
        return str(dig(raw, self.table.states.path) or "")

    def _is_ready(self, observed: Observed) -> bool:
        assert self.table.states is not None
        return observed.attributes.get("__state__") in self.table.states.ready

    def _reason(self, client: Aws, id: str) -> str:
        states = self.table.states
        raw = self._look(client, id, client.insist) if states is not None and states.reason else None
        return str(dig(raw, states.reason) or "") if raw is not None and states is not None else ""
