"""``gcp.secret``. https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets"""

from __future__ import annotations

import base64
from contextlib import suppress

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute
from mlinfra.model.values import Secret, freeze
from mlinfra.provider.failures import Denied, NotFound
from mlinfra_gcp.client import GcpClient
from mlinfra_gcp.engine.resource import TableType
from mlinfra_gcp.table import Row


class SecretType(TableType):
    """A secret, and with ``payload`` its newest version. The payload is sent, and never read back."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="gcp.secret", doc="secretmanager.v1", collection="projects.secrets", schema="Secret", scope="project",
                chosen="secretId", defaults={"replication": freeze({"automatic": {}})},
                adds={"payload": Attribute(type="string", sensitive=True, write_only=True, description="the newest version's text")},
                hidden=("tags", "scheduledDestroyTime"), name_pattern=r"[A-Za-z0-9_-]{1,255}", holds_data=True,
            )
        )  # fmt: skip

    async def create(self, client: GcpClient, desired: Desired, token: str) -> Observed:
        seen = await super().create(client, desired, token)
        await self._add(client, seen.id, desired)
        return seen

    async def updated(self, client: GcpClient, recorded: ResourceState, desired: Desired) -> None:
        if desired.attributes.get("payload") is not None:
            await self._add(client, recorded.id, desired)

    async def find(self, client: GcpClient, desired: Desired, token: str) -> Observed | None:
        """A secret that a crash left without the version that it was to have is of no use: what it should hold is known to the
        spec alone, so it is made again."""
        seen = await super().find(client, desired, token)
        if seen is None or desired.attributes.get("payload") is None:
            return seen
        answer = await client.call(self.row.doc, "projects.secrets.versions.list", {"parent": seen.id})
        if answer.get("versions"):
            return seen
        await client.call(self.row.doc, "projects.secrets.delete", {"name": seen.id})
        return None

    async def _add(self, client: GcpClient, identity: str, desired: Desired) -> None:
        payload = desired.attributes.get("payload")
        if payload is None:
            return
        text = str(payload.reveal() if isinstance(payload, Secret) else payload)
        data = base64.b64encode(text.encode()).decode()
        with suppress(NotFound, Denied):  # there is no version yet, or it is not ours to read
            latest = await client.call(self.row.doc, "projects.secrets.versions.access", {"name": f"{identity}/versions/latest"})
            if latest["payload"]["data"] == data:
                return
        body = {"payload": {"data": data}}
        await client.call(self.row.doc, "projects.secrets.addVersion", {"parent": identity}, body)
