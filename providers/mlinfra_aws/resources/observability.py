"""CloudWatch alarms and EventBridge rules. Both are put, not created: what is there would be overwritten, so it is looked for first."""

from __future__ import annotations

from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import Map, Value
from mlinfra.provider.failures import Invalid, NotFound
from mlinfra_aws.client import Aws
from mlinfra_aws.engine.answers import Raw
from mlinfra_aws.engine.listed import ListedType
from mlinfra_aws.engine.table import Listing, Table
from mlinfra_aws.engine.tags import Tags
from mlinfra_aws.engine.translate import from_api, to_api
from mlinfra_aws.models import input_shape


class Alarm(ListedType):
    """``aws.cloudwatch_alarm``."""

    def _computed(self, client: Aws, id: str, name: str, path: str, raw: Raw) -> Value:
        return raw.get("AlarmArn") or f"arn:{client.partition}:cloudwatch:{client.region}:{client.account}:alarm:{id}"

    def _update(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> None:
        """The put replaces the whole alarm."""
        client.call("cloudwatch", "PutMetricAlarm", **self._parameters(client, "PutMetricAlarm", desired.attributes))


ALARM = Alarm(
    Table(
        type="aws.cloudwatch_alarm",
        cloudformation="AWS::CloudWatch::Alarm",
        service="cloudwatch",
        name="AlarmName",
        key="AlarmNames",
        create="PutMetricAlarm",
        read="DescribeAlarms",
        update="PutMetricAlarm",
        delete="DeleteAlarms",
        found="MetricAlarms.0",
        computed={"Arn": "AlarmArn"},
        arn="Arn",
        tags=Tags(by="ResourceARN"),
        listing=Listing(operation="DescribeAlarms", items="MetricAlarms", id="AlarmName", gives="all"),
        upsert=True,
        limit=255,
    )
)


class Rule(ListedType):
    """``aws.eventbridge_rule`` with its ``Targets``; the id is ``bus/rule``, or the rule's name on the default bus."""

    reshaped = frozenset({"Targets"})

    def id_of(self, client: Aws, attributes: Map) -> str:
        bus = attributes.get("EventBusName")
        name = str(attributes["Name"])
        return f"{bus}/{name}" if bus and bus != "default" else name

    def _keyed(self, operation: str, id: str) -> dict[str, Any]:
        bus, _, name = id.rpartition("/")
        return {"Name": name, **({"EventBusName": bus} if bus else {})}

    def _computed(self, client: Aws, id: str, name: str, path: str, raw: Raw) -> Value:
        return raw.get("Arn") or raw.get("RuleArn") or ""

    def _complete(self, client: Aws, desired: Desired, observed: Observed) -> None:
        self._put_targets(client, observed.id, desired.attributes.get("Targets") or ())

    def _complete_half(self, client: Aws, found: Observed, desired: Desired) -> Observed:
        if found.attributes.get("Targets") != desired.attributes.get("Targets"):
            self._complete(client, desired, found)
        return Observed(found.id, Map({**found.attributes, **{k: v for k, v in desired.attributes.items() if k == "Targets"}}))

    def _where(self, id: str) -> dict[str, str]:
        keyed = self._keyed("DescribeRule", id)
        return {"Rule": keyed["Name"], **({"EventBusName": keyed["EventBusName"]} if "EventBusName" in keyed else {})}

    def _put_targets(self, client: Aws, id: str, targets: Any) -> None:
        shape = input_shape("events", "PutTargets").members["Targets"]
        sent = to_api(shape, targets)
        for start in range(0, len(sent), 10):
            answer = client.insist("events", "PutTargets", **self._where(id), Targets=sent[start : start + 10])
            for failed in answer.get("FailedEntries", ()):
                raise Invalid(f"target {failed.get('TargetId')} of {id}: {failed.get('ErrorMessage')}", path=("Targets",))

    def _remove_targets(self, client: Aws, id: str, ids: list[str]) -> None:
        for start in range(0, len(ids), 100):
            client.insist("events", "RemoveTargets", **self._where(id), Ids=ids[start : start + 100])

    def _targets(self, client: Aws, id: str) -> list[Any]:
        return client.listed("events", "ListTargetsByRule", "Targets", **self._where(id))

    def _properties(self, client: Aws, id: str, raw: Raw, names: frozenset[str]) -> dict[str, Value]:
        found = super()._properties(client, id, raw, names - {"Targets"})
        if "Targets" in names:
            found["Targets"] = from_api(self.published, self.published.properties["Targets"], self._targets(client, id)) or None
        return found

    def _update(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> None:
        if changed - {"Targets"}:
            client.call("events", "PutRule", **self._parameters(client, "PutRule", desired.attributes))
        if "Targets" in changed:
            wanted = desired.attributes.get("Targets") or ()
            kept = {t["Id"] for t in wanted}
            gone = [t["Id"] for t in self._targets(client, recorded.id) if t["Id"] not in kept]
            if gone:
                self._remove_targets(client, recorded.id, gone)
            self._put_targets(client, recorded.id, wanted)

    def _delete(self, client: Aws, recorded: ResourceState) -> None:
        """Targets go first: EventBridge refuses otherwise."""
        where = self._keyed("DeleteRule", recorded.id)
        if not recorded.attributes.get("Targets"):
            try:
                client.call("events", "DeleteRule", **where)
                return
            except Invalid as failure:
                if "targets" not in failure.message:
                    raise
        try:
            ids = [t["Id"] for t in self._targets(client, recorded.id)]
        except NotFound:
            return
        if ids:
            self._remove_targets(client, recorded.id, ids)
        client.call("events", "DeleteRule", **where)


RULE = Rule(
    Table(
        type="aws.eventbridge_rule",
        cloudformation="AWS::Events::Rule",
        service="events",
        name="Name",
        create="PutRule",
        read="DescribeRule",
        update="PutRule",
        delete="DeleteRule",
        without=("RuleName",),
        computed={"Arn": "Arn"},
        arn="Arn",
        immutable={"EventBusName": "AWS::Events::Rule: a rule stays on its bus"},
        tags=Tags(by="ResourceARN"),
        listing=Listing(operation="ListRules", items="Rules", id="Name", gives="all"),
        upsert=True,
        limit=64,
    )
)
