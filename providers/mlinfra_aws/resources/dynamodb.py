"""DynamoDB tables."""

from __future__ import annotations

from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import Map, Value
from mlinfra_aws.client import Aws
from mlinfra_aws.engine.answers import Raw
from mlinfra_aws.engine.resource import TableType
from mlinfra_aws.engine.table import States, Table
from mlinfra_aws.engine.tags import Tags
from mlinfra_aws.engine.translate import to_api
from mlinfra_aws.models import input_shape

_APART = frozenset({"TimeToLiveSpecification", "PointInTimeRecoverySpecification"})


class DynamoTable(TableType):
    """``aws.dynamodb_table``. Indexes change one at a time, as DynamoDB allows it."""

    reshaped = _APART

    def _parameters(self, client: Aws, operation: str, attributes: Map) -> dict[str, Any]:
        found = super()._parameters(client, operation, Map({k: v for k, v in attributes.items() if k not in _APART}))
        encryption = attributes.get("SSESpecification")
        if encryption is not None and "SSESpecification" in found:
            found["SSESpecification"] = {("Enabled" if k == "SSEEnabled" else k): v for k, v in encryption.items()}
        if "BillingMode" not in found and "ProvisionedThroughput" not in found and operation == "CreateTable":
            found["BillingMode"] = "PAY_PER_REQUEST"
        stream = found.get("StreamSpecification")
        if stream:
            stream.pop("ResourcePolicy", None)
            found["StreamSpecification"] = {"StreamEnabled": True, **stream}
        return found

    async def create(self, client: Aws, desired: Desired, token: str) -> Observed:
        made = await super().create(client, desired, token)
        if _APART & set(desired.attributes):
            await client.run(self._apart, client, made.id, desired.attributes, _APART & set(desired.attributes))
        return made

    def _apart(self, client: Aws, name: str, wanted: Map, changed: frozenset[str]) -> None:
        if "TimeToLiveSpecification" in changed and wanted.get("TimeToLiveSpecification"):
            ttl = wanted["TimeToLiveSpecification"]
            client.insist("dynamodb", "UpdateTimeToLive", TableName=name, TimeToLiveSpecification=dict(ttl))
        if "PointInTimeRecoverySpecification" in changed:
            point = wanted.get("PointInTimeRecoverySpecification") or {"PointInTimeRecoveryEnabled": False}
            shape = input_shape("dynamodb", "UpdateContinuousBackups").members["PointInTimeRecoverySpecification"]
            client.insist(
                "dynamodb", "UpdateContinuousBackups", TableName=name, PointInTimeRecoverySpecification=to_api(shape, point)
            )

    def _properties(self, client: Aws, id: str, raw: Raw, names: frozenset[str]) -> dict[str, Value]:
        billing = (raw.get("BillingModeSummary") or {}).get("BillingMode", "PROVISIONED")
        told = {
            **raw,
            "BillingMode": billing,
            "TableClass": (raw.get("TableClassSummary") or {}).get("TableClass", "STANDARD"),
        }
        encryption = raw.get("SSEDescription")
        told["SSESpecification"] = encryption and {
            "SSEEnabled": encryption.get("Status") in ("ENABLED", "ENABLING"),
            "SSEType": encryption.get("SSEType"),
            "KMSMasterKeyId": encryption.get("KMSMasterKeyArn"),
        }
        if billing == "PAY_PER_REQUEST":
            told.pop("ProvisionedThroughput", None)
        found = super()._properties(client, id, told, names - _APART)
        if "TimeToLiveSpecification" in names:
            ttl = client.insist("dynamodb", "DescribeTimeToLive", TableName=id).get("TimeToLiveDescription") or {}
            on = ttl.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
            found["TimeToLiveSpecification"] = Map(
                Enabled=on, **({"AttributeName": ttl["AttributeName"]} if "AttributeName" in ttl else {})
            )
        if "PointInTimeRecoverySpecification" in names:
            backups = client.insist("dynamodb", "DescribeContinuousBackups", TableName=id)["ContinuousBackupsDescription"]
            point = backups.get("PointInTimeRecoveryDescription") or {}
            on = point.get("PointInTimeRecoveryStatus") == "ENABLED"
            days = {"RecoveryPeriodInDays": point["RecoveryPeriodInDays"]} if "RecoveryPeriodInDays" in point else {}
            found["PointInTimeRecoverySpecification"] = Map(PointInTimeRecoveryEnabled=on, **days)
        return found

    def _update(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> None:
        wanted = desired.attributes
        plain = changed - _APART - {"GlobalSecondaryIndexes", "KeySchema", "AttributeDefinitions", "LocalSecondaryIndexes"}
        if plain:
            kept = Map({k: v for k, v in wanted.items() if k in plain | {"BillingMode", "ProvisionedThroughput"}})
            sent = self._parameters(client, "UpdateTable", kept)
            if "ProvisionedThroughput" not in changed and "BillingMode" not in changed:
                sent.pop("ProvisionedThroughput", None)
                sent.pop("BillingMode", None)
            if "DeletionProtectionEnabled" in plain and "DeletionProtectionEnabled" not in wanted:
                sent["DeletionProtectionEnabled"] = False
            if sent:
                client.call("dynamodb", "UpdateTable", **{**sent, "TableName": recorded.id})
        self._apart(client, recorded.id, wanted, changed & _APART)

    async def change(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> Raw:
        seen = await super().change(client, recorded, desired, changed)
        if "GlobalSecondaryIndexes" in changed:
            definitions = to_api(
                input_shape("dynamodb", "UpdateTable").members["AttributeDefinitions"], desired.attributes["AttributeDefinitions"]
            )
            for step in reindexed(recorded.attributes, desired.attributes):
                await client.run(
                    client.insist, "dynamodb", "UpdateTable", TableName=recorded.id, AttributeDefinitions=definitions,
                    GlobalSecondaryIndexUpdates=[step],
                )  # fmt: skip
                seen = await self._settle(client, Observed(recorded.id, recorded.attributes), desired.timeout)
        return seen

    def state_of(self, raw: Raw) -> str:
        """A table is ready when its indexes are."""
        states = [i.get("IndexStatus", "ACTIVE") for i in raw.get("GlobalSecondaryIndexes") or ()]
        return next((f"index {s}" for s in states if s != "ACTIVE"), super().state_of(raw))


def reindexed(recorded: Map, wanted: Map) -> list[dict[str, Any]]:
    """The steps from one set of global indexes to the other, one a request."""
    before = {i["IndexName"]: i for i in recorded.get("GlobalSecondaryIndexes") or ()}
    after = {i["IndexName"]: i for i in wanted.get("GlobalSecondaryIndexes") or ()}
    shape = input_shape("dynamodb", "UpdateTable").members["GlobalSecondaryIndexUpdates"].member
    steps: list[dict[str, Any]] = [{"Delete": {"IndexName": n}} for n in before if before[n] != after.get(n)]
    return steps + [{"Create": to_api(shape.members["Create"], i)} for n, i in after.items() if before.get(n) != i]


TABLE = DynamoTable(
    Table(
        type="aws.dynamodb_table",
        cloudformation="AWS::DynamoDB::Table",
        service="dynamodb",
        name="TableName",
        create="CreateTable",
        read="DescribeTable",
        update="UpdateTable",
        delete="DeleteTable",
        made="TableDescription",
        found="Table",
        without=("ContributorInsightsSpecification", "ImportSourceSpecification", "KinesisStreamSpecification", "ResourcePolicy"),
        computed={"Arn": "TableArn"},
        arn="Arn",
        names={"SSEEnabled": "Enabled"},
        immutable={
            "KeySchema": "AWS::DynamoDB::Table: updates of the key schema require replacement",
            "LocalSecondaryIndexes": "AWS::DynamoDB::Table: local indexes are made with the table",
        },
        tags=Tags(list="ListTagsOfResource"),
        states=States(
            path="TableStatus",
            ready=frozenset({"ACTIVE"}),
            failed=frozenset({"INACCESSIBLE_ENCRYPTION_CREDENTIALS"}),
            until_gone=True,
        ),
        limit=255,
        holds_data=True,
    )
)
