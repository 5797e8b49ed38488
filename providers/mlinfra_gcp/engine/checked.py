"""What Google would say to a change, asked without making it.

Few methods take ``validateOnly`` (https://google.aip.dev/163; the documents say which). Whether a name is free, the API enabled and
the project right is told by ``get``; whether the credentials may, by ``testIamPermissions``.
"""

from __future__ import annotations

from contextlib import suppress

from mlinfra.model.resource import Desired, ResourceState
from mlinfra.model.values import Map, is_known
from mlinfra.provider import ownership
from mlinfra.provider.failures import AlreadyExists, NotFound
from mlinfra_gcp import marks
from mlinfra_gcp.client import GcpClient
from mlinfra_gcp.engine.changed import Changed
from mlinfra_gcp.operations import finished
from mlinfra_gcp.permissions import require
from mlinfra_gcp.table import Body

_VALIDATION = 60.0
"""Seconds that a validation may take."""


class Checked(Changed):
    """Asks what may be asked of a row's objects before they are made or changed."""

    async def check(self, client: GcpClient, recorded: ResourceState | None, desired: Desired) -> str:
        attributes = self.placed(client, desired.attributes)
        looked = [] if recorded is not None else await self._may_be_made(client, attributes, desired)
        method = self._method("patch" if recorded is not None else self.row.create)
        known = self.row.document.methods.get(method)
        if known is None or "validateOnly" not in known.params or not is_known(attributes) or "replaces" in looked:
            return ", ".join(n for n in looked if n != "replaces")
        if recorded is None:
            body = self.body(client, attributes, client.owner(desired.address, "0" * 32))
            params, sent = self._create_params(attributes, "0" * 32), self._wrapped(attributes, body)
        else:
            live = await self.get(client, recorded.id)
            names = self.changed(recorded.attributes, attributes)
            if live is None or not names:
                return ""
            params, sent = self.patch_request(client, recorded, attributes, names, live)
        answer = await client.call(self.row.doc, method, {**params, "validateOnly": True}, sent)
        with suppress(NotFound):  # an operation that nobody keeps: what is wrong was answered at once
            await finished(client, self.row.doc, answer, what=f"validating {self._said(attributes)}", limit=_VALIDATION)
        return ", ".join([*looked, "validateOnly"])

    async def _may_be_made(self, client: GcpClient, attributes: Map, desired: Desired) -> list[str]:
        """What was looked at; ``replaces`` among it when an object of ours has the name, which makes way first."""
        looked: list[str] = []
        identity = self.row.identity(attributes) if self.row.chosen else None
        if identity is not None:
            live = await self.get(client, identity)
            if live is not None and not self._ours(client, live, desired):
                raise AlreadyExists(f"{identity} exists already and is not ours", import_id=identity)
            looked.append("replaces" if live is not None else "name")
        if await require(client, str(attributes["project"]), self.row.permission):
            looked.append("permission")
        return looked

    def _ours(self, client: GcpClient, live: Body, desired: Desired) -> bool:
        """Whether its marks say that this stack made it, at this address."""
        owner = client.owner(desired.address, "")
        value = self._labels(live)
        if self.row.marks[-1] == "description":
            return ownership.line_of(str(value or "")).startswith(
                owner.line(marks.label_value, self.row.limit).partition(" op=")[0]
            )
        expected = {k: v for k, v in owner.marks(marks.label_value).items() if k != ownership.OPERATION}
        return expected.items() <= dict(value or {}).items()
