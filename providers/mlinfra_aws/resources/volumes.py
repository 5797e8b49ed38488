"""``aws.ebs_volume``, and ``aws.volume_attachment``, which carries no tags."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import Map
from mlinfra.provider.failures import AlreadyExists, Conflict, Invalid, NotFound
from mlinfra_aws.client import Aws
from mlinfra_aws.engine.answers import Raw
from mlinfra_aws.engine.resource import TableType
from mlinfra_aws.engine.table import Listing, States, Table
from mlinfra_aws.resources.ec2 import Ec2Type, tags
from mlinfra_aws.resources.instance import INSTANCE


class Volume(Ec2Type):
    """``aws.ebs_volume``: it grows, and changes its kind, in place."""

    def _update(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> None:
        wanted = desired.attributes
        sent = {n: wanted[n] for n in ("Size", "VolumeType", "Iops", "Throughput") if n in changed and wanted.get(n) is not None}
        if "Size" in changed and (wanted.get("Size") or 0) < (recorded.attributes.get("Size") or 0):
            raise Invalid("an EBS volume cannot shrink", path=("Size",), hint="make a smaller one beside it and copy")
        if sent:
            client.call("ec2", "ModifyVolume", VolumeId=recorded.id, **sent)

    def _is_over(self, raw: Raw) -> bool:
        return raw.get("State") in ("deleting", "deleted")


VOLUME = Volume(
    Table(
        type="aws.ebs_volume",
        cloudformation="AWS::EC2::Volume",
        service="ec2",
        id="VolumeId",
        key="VolumeIds",
        create="CreateVolume",
        read="DescribeVolumes",
        update="ModifyVolume",
        delete="DeleteVolume",
        found="Volumes.0",
        without=("AutoEnableIO", "SourceVolumeId", "VolumeInitializationRate", "AvailabilityZoneId", "OutpostArn"),
        immutable={n: "AWS::EC2::Volume: it is set when the volume is made"
                   for n in ("AvailabilityZone", "Encrypted", "KmsKeyId", "SnapshotId", "MultiAttachEnabled")},
        computed={"VolumeId": "VolumeId"},
        arn="VolumeId",
        tags=tags("volume"),
        listing=Listing(operation="DescribeVolumes", items="Volumes", id="VolumeId", gives="all"),
        states=States(path="State", ready=frozenset({"available", "in-use"}), failed=frozenset({"error"}), after_update=False, limit=600.0),
        holds_data=True,
        costs=True,
    )
)  # fmt: skip


class VolumeAttachment(TableType):
    """``aws.volume_attachment``: that a volume is attached to an instance. A relation; the id is ``volume|instance``."""

    def id_of(self, client: Aws, attributes: Map) -> str:
        return f"{attributes['VolumeId']}|{attributes['InstanceId']}"

    async def create(self, client: Aws, desired: Desired, token: str) -> Observed:
        self._check(desired)
        volume = desired.attributes["VolumeId"]
        standing = await client.run(self._attached, client, str(volume))
        if standing is not None:
            raise AlreadyExists(
                f"{volume} is attached to {standing['InstanceId']} already, and not by this spec",
                import_id=f"{volume}|{standing['InstanceId']}", path=("VolumeId",),
            )  # fmt: skip
        seen = Observed(self.id_of(client, desired.attributes), desired.attributes)
        instance = Observed(str(desired.attributes["InstanceId"]), desired.attributes)
        await INSTANCE.until(client, instance, frozenset({"running", "stopped", "terminated"}), desired.timeout)
        sent = {n: desired.attributes[n] for n in ("VolumeId", "InstanceId", "Device") if n in desired.attributes}
        await client.run(client.call, "ec2", "AttachVolume", **sent)
        await self.until(client, seen, frozenset({"attached"}), desired.timeout)
        return seen

    def _attached(self, client: Aws, volume: str) -> Mapping[str, Any] | None:
        raw = VOLUME._look(client, volume)
        found = [a for a in (raw or {}).get("Attachments", ()) if a.get("State") not in ("detached", "detaching")]
        return found[0] if found else None

    def _look(self, client: Aws, id: str, call: Callable[..., Any] | None = None) -> Raw | None:
        volume, _, instance = id.partition("|")
        raw = VOLUME._look(client, volume, call)
        return next(
            (a for a in (raw or {}).get("Attachments", ()) if a.get("InstanceId") == instance and a.get("State") != "detached"),
            None,
        )

    async def adopt(self, client: Aws, id: str) -> Observed | None:
        raw = await client.run(self._look, client, id)
        return None if raw is None else Observed(id, Map({n: raw[n] for n in ("VolumeId", "InstanceId", "Device") if n in raw}))

    async def delete(self, client: Aws, recorded: ResourceState) -> None:
        volume, _, instance = recorded.id.partition("|")
        with suppress(NotFound, Conflict):
            await client.run(client.call, "ec2", "DetachVolume", VolumeId=volume, InstanceId=instance)
        await self.until(client, Observed(recorded.id, recorded.attributes), frozenset({"detached"}), gone=True)


VOLUME_ATTACHMENT = VolumeAttachment(
    Table(
        type="aws.volume_attachment",
        cloudformation="AWS::EC2::VolumeAttachment",
        service="ec2",
        key="VolumeIds",
        create="AttachVolume",
        read="DescribeVolumes",
        delete="DetachVolume",
        without=("EbsCardIndex",),
        states=States(path="State", ready=frozenset({"attached"}), limit=600.0),
    )
)
