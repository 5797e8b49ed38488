"""Marks of what has no tags of its own, in the tags of what it lies in, by ARM's tags service, which merges them one by one.

https://learn.microsoft.com/rest/api/resources/tags/update-at-scope
"""

from __future__ import annotations

import hashlib
from typing import Any

from mlinfra.provider import ownership
from mlinfra.provider.failures import NotFound
from mlinfra_azure.client import AzureClient

_VERSION = "2021-04-01"


class Marked:
    """The mark of the object ``identity`` at its ``parent``: a tag whose name holds a digest of the id."""

    def __init__(self, client: AzureClient, identity: str, parent: str) -> None:
        self._client = client
        self._at = f"{parent}/providers/Microsoft.Resources/tags/default"
        self._name = f"{ownership.OPERATION}-{hashlib.sha256(identity.lower().encode()).hexdigest()[:10]}"

    async def token(self) -> str:
        """The operation that made it; nothing when there is no mark, or no parent."""
        return str((await self._tags()).get(self._name, ""))

    async def mark(self, token: str) -> None:
        await self._write("Merge", {self._name: token})

    async def unmark(self) -> None:
        """Take the mark away. A parent that is gone is well."""
        try:
            held = await self._tags()
            if self._name in held:
                await self._write("Delete", {self._name: held[self._name]})
        except NotFound:
            return

    async def _tags(self) -> dict[str, Any]:
        body = await self._client.get(self._at, _VERSION)
        return dict(((body or {}).get("properties") or {}).get("tags") or {})

    async def _write(self, operation: str, tags: dict[str, Any]) -> None:
        await self._client.send("PATCH", self._at, _VERSION, body={"operation": operation, "properties": {"tags": tags}})
