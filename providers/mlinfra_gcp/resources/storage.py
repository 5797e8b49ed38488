"""``gcp.storage_bucket``. https://cloud.google.com/storage/docs/json_api/v1/buckets"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlinfra.model.resource import ResourceState
from mlinfra.model.schema import Attribute
from mlinfra.model.values import Map, Value
from mlinfra.provider.failures import Conflict, Invalid
from mlinfra_gcp.client import GcpClient
from mlinfra_gcp.engine.resource import TableType
from mlinfra_gcp.table import Row


def _uri(attributes: Map) -> Mapping[str, Value]:
    name = attributes.get("name")
    return {"uri": f"gs://{name}"} if isinstance(name, str) else {}


class StorageBucket(TableType):
    """A bucket. ``forceDestroy`` is ours: its objects are deleted with it."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="gcp.storage_bucket",
                doc="storage.v1",
                collection="buckets",
                schema="Bucket",
                scope="bucket",
                create="insert",
                changes="merge",
                hidden=("acl", "defaultObjectAcl", "updated", "timeCreated", "projectNumber", "metageneration", "owner", "generation",
                        "locationType", "satisfiesPZI", "satisfiesPZS", "hardDeleteTime", "softDeleteTime"),
                fixed={
                    "location": "a bucket's location is set when it is made (storage/docs/locations)",
                    "hierarchicalNamespace": "hierarchical namespace is set when the bucket is made",
                    "customPlacementConfig": "the regions of a dual-region are set when the bucket is made",
                    "enableObjectRetention": "object retention is set when the bucket is made",
                },
                adds={"forceDestroy": Attribute(type="boolean", write_only=True, description="delete its objects with it")},
                extra={"uri": lambda body: f"gs://{body['name']}"},
                predict=_uri,
                name_pattern=r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]",
                holds_data=True,
            )
        )  # fmt: skip

    async def delete(self, client: GcpClient, recorded: ResourceState) -> None:
        if recorded.attributes.get("forceDestroy") is True and await self.get(client, recorded.id) is not None:
            await client.remove_objects(recorded.id, "")
        try:
            await super().delete(client, recorded)
        except (Conflict, Invalid) as failure:
            if "empty" in failure.message:
                raise Invalid(
                    f"the bucket {recorded.id} is not empty", hint="set forceDestroy (force_destroy), or empty it"
                ) from failure
            raise

    async def stake(self, client: GcpClient, recorded: ResourceState) -> str:
        objects = await client.objects(recorded.id, "")
        return f"{len(objects):,} object{'s' if len(objects) != 1 else ''}" if objects else ""

    def observed(self, client: GcpClient, identity: str, body: Mapping[str, Any], wanted: Mapping[str, Value]) -> Any:
        seen = super().observed(client, identity, body, wanted)
        force = wanted.get("forceDestroy")
        return seen if force is None else type(seen)(seen.id, Map({**seen.attributes, "forceDestroy": force}))
