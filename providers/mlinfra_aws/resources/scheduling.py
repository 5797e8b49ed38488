"""EventBridge Scheduler's schedules and Step Functions' state machines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlinfra.model.resource import Desired, ResourceState
from mlinfra.model.values import Map, Value
from mlinfra_aws.client import Aws
from mlinfra_aws.engine.answers import Raw
from mlinfra_aws.engine.resource import TableType
from mlinfra_aws.engine.table import States, Table
from mlinfra_aws.engine.tags import Tags
from mlinfra_aws.engine.translate import document, parsed


class Schedule(TableType):
    """``aws.scheduler_schedule``. Schedules take no tags: the marks stand at the end of the description. The id is ``group/name``, or the
    name in the default group."""

    def id_of(self, client: Aws, attributes: Map) -> str:
        group = attributes.get("GroupName")
        return f"{group}/{attributes['Name']}" if group and group != "default" else str(attributes["Name"])

    def _keyed(self, operation: str, id: str) -> dict[str, Any]:
        group, _, name = id.rpartition("/")
        return {"Name": name, **({"GroupName": group} if group else {})}

    def _computed(self, client: Aws, id: str, name: str, path: str, raw: Raw) -> Value:
        return raw.get("Arn") or raw.get("ScheduleArn") or ""

    def _update(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> None:
        """The update takes the whole schedule, the marks with it."""
        marked = Map({**desired.attributes, "Description": self._kept_mark(client, recorded, desired)})
        sent = self._parameters(client, "UpdateSchedule", marked)
        client.call("scheduler", "UpdateSchedule", **{**sent, **self._keyed("UpdateSchedule", recorded.id)})

    def _kept_mark(self, client: Aws, recorded: ResourceState, desired: Desired) -> str:
        kept = self._raw_mark(self._look(client, recorded.id) or {})
        tail = kept[kept.rfind("[mlinfra") :] if "[mlinfra" in kept else ""
        return f"{desired.attributes.get('Description') or ''} {tail}".strip()


SCHEDULE = Schedule(
    Table(
        type="aws.scheduler_schedule",
        cloudformation="AWS::Scheduler::Schedule",
        service="scheduler",
        name="Name",
        create="CreateSchedule",
        read="GetSchedule",
        update="UpdateSchedule",
        delete="DeleteSchedule",
        computed={"Arn": "Arn"},
        arn="Arn",
        immutable={"GroupName": "AWS::Scheduler::Schedule: a schedule stays in its group"},
        mark="Description",
        alphabet="a-zA-Z0-9",
        limit=64,
    )
)


class StateMachine(TableType):
    """``aws.step_functions_state_machine``. The definition is an object (``Definition``) or a JSON text (``DefinitionString``). A create
    with a name that is there succeeds in silence, so it is looked for first."""

    reshaped = frozenset({"Definition", "DefinitionString"})

    def id_of(self, client: Aws, attributes: Map) -> str:
        name = attributes["StateMachineName"]
        return f"arn:{client.partition}:states:{client.region}:{client.account}:stateMachine:{name}"

    def _parameters(self, client: Aws, operation: str, attributes: Map) -> dict[str, Any]:
        plain = Map({k: v for k, v in attributes.items() if k not in self.reshaped})
        found = super()._parameters(client, operation, plain)
        definition = attributes.get("Definition") or attributes.get("DefinitionString")
        if definition is not None:
            found["definition"] = definition if isinstance(definition, str) else document(definition)
        return found

    def _properties(self, client: Aws, id: str, raw: Raw, names: frozenset[str]) -> dict[str, Value]:
        found = super()._properties(client, id, {**raw, "StateMachineName": raw.get("name")}, names - self.reshaped)
        if "DefinitionString" in names:
            found["DefinitionString"] = raw.get("definition")
        if "Definition" in names and "DefinitionString" not in names:
            found["Definition"] = parsed(str(raw.get("definition")))
        return found


STATE_MACHINE = StateMachine(
    Table(
        type="aws.step_functions_state_machine",
        cloudformation="AWS::StepFunctions::StateMachine",
        service="stepfunctions",
        name="StateMachineName",
        id="stateMachineArn",
        key="stateMachineArn",
        create="CreateStateMachine",
        read="DescribeStateMachine",
        update="UpdateStateMachine",
        delete="DeleteStateMachine",
        names={"StateMachineName": "name", "StateMachineType": "type"},
        without=("DefinitionS3Location", "DefinitionSubstitutions"),
        computed={"Arn": "stateMachineArn"},
        arn="Arn",
        tags=Tags(at_create="tags", form="lower", by="resourceArn", items="tags", param="tags", keys="tagKeys"),
        states=States(path="status", ready=frozenset({"ACTIVE", ""}), after_update=False, until_gone=True),
        upsert=True,
        limit=80,
    )
)


class ScalingTarget(TableType):
    """``aws.appautoscaling_target``: that something may be scaled, and between which bounds. It is a relation to what is scaled; the id is
    ``namespace|resource|dimension``."""

    def id_of(self, client: Aws, attributes: Map) -> str:
        return "|".join(str(attributes[n]) for n in ("ServiceNamespace", "ResourceId", "ScalableDimension"))

    def _keyed(self, operation: str, id: str) -> dict[str, Any]:
        namespace, resource, dimension = [*id.split("|"), "", ""][:3]
        if operation.startswith("Describe"):
            return {"ServiceNamespace": namespace, "ResourceIds": [resource], "ScalableDimension": dimension}
        return {"ServiceNamespace": namespace, "ResourceId": resource, "ScalableDimension": dimension}

    def _update(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> None:
        client.call(
            "application-autoscaling", "RegisterScalableTarget",
            **self._parameters(client, "RegisterScalableTarget", desired.attributes),
        )  # fmt: skip


SCALING_TARGET = ScalingTarget(
    Table(
        type="aws.appautoscaling_target",
        cloudformation="AWS::ApplicationAutoScaling::ScalableTarget",
        service="application-autoscaling",
        create="RegisterScalableTarget",
        read="DescribeScalableTargets",
        update="RegisterScalableTarget",
        delete="DeregisterScalableTarget",
        found="ScalableTargets.0",
        without=("ScheduledActions", "Tags"),
        silent=("RoleARN",),
        upsert=True,
    )
)


class ScalingPolicy(TableType):
    """``aws.appautoscaling_policy``: a relation to the scalable target; the id is ``namespace|resource|dimension|name``."""

    def id_of(self, client: Aws, attributes: Map) -> str:
        return "|".join(str(attributes[n]) for n in ("ServiceNamespace", "ResourceId", "ScalableDimension", "PolicyName"))

    def _keyed(self, operation: str, id: str) -> dict[str, Any]:
        namespace, resource, dimension, name = [*id.split("|"), "", "", ""][:4]
        found = {"ServiceNamespace": namespace, "ResourceId": resource, "ScalableDimension": dimension}
        return {**found, "PolicyNames": [name]} if operation.startswith("Describe") else {**found, "PolicyName": name}

    def _look(self, client: Aws, id: str, call: Callable[..., Any] | None = None) -> Raw | None:
        raw = super()._look(client, id, call)
        return raw if raw is not None and raw.get("PolicyName") == id.rpartition("|")[2] else None

    def _computed(self, client: Aws, id: str, name: str, path: str, raw: Raw) -> Value:
        return raw.get("PolicyARN") or ""

    def _update(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> None:
        client.call(
            "application-autoscaling", "PutScalingPolicy", **self._parameters(client, "PutScalingPolicy", desired.attributes)
        )


SCALING_POLICY = ScalingPolicy(
    Table(
        type="aws.appautoscaling_policy",
        cloudformation="AWS::ApplicationAutoScaling::ScalingPolicy",
        service="application-autoscaling",
        name="PolicyName",
        create="PutScalingPolicy",
        read="DescribeScalingPolicies",
        update="PutScalingPolicy",
        delete="DeleteScalingPolicy",
        found="ScalingPolicies.0",
        without=("ScalingTargetId",),
        computed={"Arn": "PolicyARN"},
        volatile=("Arn",),
        upsert=True,
        limit=256,
    )
)
