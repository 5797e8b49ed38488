"""``gcp.job_hardware``: machines that Vertex AI brings up for each job; nothing stands in between."""

from __future__ import annotations

from mlinfra.model.cost import Cost
from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map
from mlinfra.provider.contract import Find
from mlinfra_gcp.client import GcpClient


class JobHardware:
    """What jobs of a managed cluster run on. It lives in the state alone: machines come and go with each job."""

    schema = Schema(
        attributes={
            "name": Attribute(type="string", required=True, immutable=True, source="the cluster's name"),
            "machine": Attribute(type="map", required=True, description="MachineSpec"),
            "address": Attribute(type="string", required=True),
            "nodes": Attribute(type="integer"),
        },
        virtual=True,
    )

    async def read(self, client: GcpClient, recorded: ResourceState) -> Observed | None:
        return Observed(recorded.id, recorded.attributes)

    async def create(self, client: GcpClient, desired: Desired, token: str) -> Observed:
        return Observed(f"{desired.address} {desired.attributes['name']}", desired.attributes)

    async def update(self, client: GcpClient, recorded: ResourceState, desired: Desired) -> Observed:
        return Observed(recorded.id, desired.attributes)

    async def delete(self, client: GcpClient, recorded: ResourceState) -> None:
        return None

    def price(self, attributes: Map, settings: Map, find: Find) -> Cost | None:
        from mlinfra_gcp.prices import price

        return price("gcp.job_hardware", attributes, settings)
