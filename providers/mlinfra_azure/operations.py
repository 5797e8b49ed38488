"""What goes on after ARM has answered: asynchronous operations, provisioning states, deletions, each looked at with growing pauses or
those that Azure wishes. No slot is held in between.

https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from mlinfra.provider.failures import Failure, Throttled, Timeout, Transient
from mlinfra.provider.limiter import slow_down
from mlinfra.provider.progress import say
from mlinfra_azure.errors import operation_failure

if TYPE_CHECKING:
    from mlinfra_azure.client import Answer, AzureClient

PATIENCE = 5400.0
"""Seconds that an operation may take where the resource's ``lifecycle.timeout`` does not say otherwise. A registry or a gateway takes an hour."""
T = TypeVar("T")
_FAILED_LOOKS = 10
_DONE = {"succeeded", "failed", "canceled", "cancelled"}
_SETTLED = {*_DONE, "", "ready", "running", "stopped", "updated"}


async def finished(client: AzureClient, answer: Answer, *, resource: str, what: str, limit: float | None = None) -> Answer:
    """Wait until what ``answer`` began is done; the last answer. What began nothing is its own.

    Raises the failure that the operation ended with, or Timeout."""
    clock = Clock(client, what, limit)
    status = answer.headers.get("azure-asyncoperation")
    place = answer.headers.get("location")
    if status:
        while True:
            answer = await clock.look(partial(client.send_to, status), answer.retry_after)
            state = str((answer.body or {}).get("status") or "Succeeded")
            if state.lower() in _DONE:
                break
            clock.doing(_progress(answer.body, state))
        if state.lower() != "succeeded":
            raise _ended(client, answer, state, what, resource)
        return answer
    while answer.status == 202 and place:
        clock.doing("waiting for Azure")
        answer = await clock.look(partial(client.send_to, place), answer.retry_after)
        place = answer.headers.get("location", place)
    state = str((answer.body or {}).get("status") or "") if isinstance(answer.body, Mapping) else ""
    if place and state.lower() in ("failed", "canceled", "cancelled"):
        raise _ended(client, answer, state, what, resource)
    return answer


def _ended(client: AzureClient, answer: Answer, state: str, what: str, resource: str) -> Failure:
    error = (answer.body or {}).get("error") or {"code": state, "message": f"{what}: {state.lower()}"}
    return operation_failure(error, subscription=client.subscription, resource=resource, request_id=answer.request_id)


async def settled(client: AzureClient, id: str, version: str, *, what: str, limit: float | None = None) -> dict[str, Any]:
    """The object, once its ``provisioningState`` has come to an end. The failure with which it did carries no partial: whoever knows
    what was wanted adds it."""
    clock = Clock(client, what, limit)
    body = await client.get(id, version)
    while body is None or state_of(body) not in _SETTLED:
        clock.doing("not to be seen yet" if body is None else state_of(body))
        body = await clock.look(partial(client.get, id, version), None)
    if state_of(body) in ("failed", "canceled", "cancelled"):
        raise operation_failure(error_of(body), subscription=client.subscription, resource=id)
    return body


async def gone(client: AzureClient, id: str, version: str, *, what: str, limit: float | None = None) -> None:
    """Wait until there is no object any more at an ARM id."""
    clock = Clock(client, what, limit)
    while (body := await client.get(id, version)) is not None:
        clock.doing(state_of(body) or "still there")
        await clock.pause(None)


def state_of(body: Mapping[str, Any]) -> str:
    """The provisioning state in lower case; nothing where the type has none."""
    inner = body.get("properties")
    found = (inner.get("provisioningState") if isinstance(inner, Mapping) else None) or body.get("provisioningState")
    return str(found or "").lower()


def error_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Why provisioning failed, as far as the object says so."""
    inner = body.get("properties") or {}
    found = inner.get("provisioningErrors") or inner.get("error") or inner.get("errors") or ()
    first = found[0] if isinstance(found, (list, tuple)) and found else found
    first = first.get("error", first) if isinstance(first, Mapping) else {}
    return first or {"code": "ProvisioningFailed", "message": f"its provisioning ended as {state_of(body)}"}


class Clock:
    """How long something may take, how often it was looked at, and what was last said of it."""

    def __init__(self, client: AzureClient, what: str, limit: float | None) -> None:
        self._client, self._what = client, what
        self._limit = limit or PATIENCE
        self._deadline = time.monotonic() + self._limit
        self._attempt = 0
        self._said = ""

    def doing(self, text: str) -> None:
        """Show what it does, when that is new."""
        if text != self._said:
            self._said = text
            say(f"{self._what}: {text}")

    async def pause(self, wish: float | None) -> None:
        if time.monotonic() > self._deadline:
            raise Timeout(
                f"{self._what} still goes on after {self._limit:.0f} s: {self._said or 'Azure does not say what it does'}"
            )
        await self._client.pause(self._attempt, wish)
        self._attempt += 1

    async def look(self, look: Callable[[], Awaitable[T]], wish: float | None) -> T:
        """Pause, then look. A look that is throttled or cut off is repeated: what it looks at goes on all the same."""
        failed = 0
        while True:
            await self.pause(wish)
            try:
                return await look()
            except Throttled as slower:
                slow_down()
                wish = slower.after
            except Transient as failure:
                failed += 1
                if failed > _FAILED_LOOKS:
                    raise
                self.doing(failure.message)
                wish = None


def _progress(body: Any, state: str) -> str:
    done = (body or {}).get("percentComplete")
    return f"{done:.0f} %" if isinstance(done, (int, float)) and done else state.lower()
