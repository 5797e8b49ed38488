"""Auto Scaling groups."""

from __future__ import annotations

from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import Map, Value
from mlinfra_aws.client import Aws
from mlinfra_aws.engine.answers import Raw
from mlinfra_aws.engine.listed import ListedType
from mlinfra_aws.engine.table import Listing, States, Table
from mlinfra_aws.engine.tags import Tags


class Group(ListedType):
    """``aws.autoscaling_group``. Subnets are a list in CloudFormation and a text with commas in the API; its tags say for themselves
    whether instances get them. A delete takes the instances along."""

    reshaped = frozenset({"VPCZoneIdentifier", "Tags"})

    def _parameters(self, client: Aws, operation: str, attributes: Map) -> dict[str, Any]:
        found = super()._parameters(client, operation, Map({k: v for k, v in attributes.items() if k != "VPCZoneIdentifier"}))
        if attributes.get("VPCZoneIdentifier"):
            found["VPCZoneIdentifier"] = ",".join(attributes["VPCZoneIdentifier"])
        return found

    def _complete(self, client: Aws, desired: Desired, observed: Observed) -> None:
        kept = {t["Key"]: t["Value"] for t in desired.attributes.get("Tags") or () if t.get("PropagateAtLaunch") is False}
        if kept:
            self._tag(client, observed, kept, frozenset())

    def _properties(self, client: Aws, id: str, raw: Raw, names: frozenset[str]) -> dict[str, Value]:
        found = super()._properties(client, id, raw, names - {"VPCZoneIdentifier"})
        if "VPCZoneIdentifier" in names:
            found["VPCZoneIdentifier"] = tuple([s for s in str(raw.get("VPCZoneIdentifier") or "").split(",") if s]) or None
        return found

    def _computed(self, client: Aws, id: str, name: str, path: str, raw: Raw) -> Value:
        return raw.get("AutoScalingGroupARN") or ""

    def _tag(self, client: Aws, observed: Observed, add: Any, remove: frozenset[str]) -> None:
        if remove:
            client.insist("autoscaling", "DeleteTags", Tags=[self._tag_of(observed.id, k) for k in sorted(remove)])
        if add:
            spread = self._spread(observed.attributes)
            sent = [
                {**self._tag_of(observed.id, k), "Value": v, "PropagateAtLaunch": spread.get(k, True)} for k, v in add.items()
            ]
            client.insist("autoscaling", "CreateOrUpdateTags", Tags=sent)
        client.forget_tags()

    @staticmethod
    def _tag_of(group: str, key: str) -> dict[str, Any]:
        return {"ResourceId": group, "ResourceType": "auto-scaling-group", "Key": key}

    @staticmethod
    def _spread(attributes: Map) -> dict[str, bool]:
        return {t["Key"]: bool(t.get("PropagateAtLaunch", True)) for t in attributes.get("Tags") or () if isinstance(t, Map)}

    def _retag(self, client: Aws, recorded: ResourceState, desired: Desired) -> None:
        before, after = self._spread(recorded.attributes), self._spread(desired.attributes)
        values = {t["Key"]: t["Value"] for t in desired.attributes.get("Tags") or ()}
        super()._retag(client, recorded, desired)
        moved = {k: values[k] for k in after if before.get(k) != after[k]}
        self._tag(client, Observed(recorded.id, desired.attributes), moved, frozenset())

    def _tags_seen(self, client: Aws, observed: Observed, raw: Raw, wanted: Map) -> Value:
        return self._spread_out(raw, super()._tags_seen(client, observed, raw, wanted))

    def _found(self, client: Aws, id: str, raw: Raw, desired: Desired) -> Observed:
        found = super()._found(client, id, raw, desired)
        return Observed(id, Map({**found.attributes, "Tags": self._spread_out(raw, found.attributes["Tags"])}))

    def _adopt(self, client: Aws, id: str) -> Observed | None:
        found = super()._adopt(client, id)
        raw = self._look(client, id)
        if found is None or raw is None:
            return None
        return Observed(id, Map({**found.attributes, "Tags": self._spread_out(raw, found.attributes["Tags"])}))

    @staticmethod
    def _spread_out(raw: Raw, shown: Value) -> Value:
        """The tags with what CloudFormation says of each beside key and value."""
        told = {t["Key"]: bool(t.get("PropagateAtLaunch")) for t in raw.get("Tags") or ()}
        return tuple([Map({**t, "PropagateAtLaunch": told.get(t["Key"], False)}) for t in shown])

    def _update(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> None:
        sent = self._parameters(client, "UpdateAutoScalingGroup", desired.attributes)
        client.call("autoscaling", "UpdateAutoScalingGroup", **{**sent, "AutoScalingGroupName": recorded.id})

    def _delete(self, client: Aws, recorded: ResourceState) -> None:
        client.call("autoscaling", "DeleteAutoScalingGroup", AutoScalingGroupName=recorded.id, ForceDelete=True)


GROUP = Group(
    Table(
        type="aws.autoscaling_group",
        cloudformation="AWS::AutoScaling::AutoScalingGroup",
        service="autoscaling",
        name="AutoScalingGroupName",
        create="CreateAutoScalingGroup",
        read="DescribeAutoScalingGroups",
        update="UpdateAutoScalingGroup",
        delete="DeleteAutoScalingGroup",
        found="AutoScalingGroups.0",
        without=(
            "LifecycleHookSpecificationList", "LoadBalancerNames", "MetricsCollection", "NotificationConfiguration",
            "NotificationConfigurations", "TrafficSources", "InstanceId", "LaunchConfigurationName", "InstanceLifecyclePolicy",
            "DeletionProtection", "AvailabilityZoneIds",
        ),
        silent=("SkipZonalShiftValidation", "Context"),
        computed={"AutoScalingGroupARN": "AutoScalingGroupARN"},
        arn="AutoScalingGroupARN",
        tags=Tags(inside="Tags", form="group", of="id"),
        listing=Listing(operation="DescribeAutoScalingGroups", items="AutoScalingGroups", id="AutoScalingGroupName", gives="all"),
        states=States(path="Status", ready=frozenset({""}), after_update=False, until_gone=True, limit=1800.0),
        reread=True,
        costs=True,
        limit=255,
    )
)  # fmt: skip
