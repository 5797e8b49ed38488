"""SageMaker's serving side and registry: models, endpoint configurations, endpoints, model packages.

A model and an endpoint configuration never change: they are named by their content, and an endpoint moves from one to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import Map, Value
from mlinfra_aws.client import Aws
from mlinfra_aws.engine.answers import Raw
from mlinfra_aws.engine.listed import ListedType
from mlinfra_aws.engine.resource import TableType
from mlinfra_aws.engine.table import Listing, States, Table
from mlinfra_aws.engine.tags import Tags
from mlinfra_aws.engine.translate import to_api
from mlinfra_aws.models import input_shape

TAGS = Tags(add="AddTags", remove="DeleteTags", list="ListTags")
NAMES = "a-zA-Z0-9"

MODEL = ListedType(
    Table(
        type="aws.sagemaker_model",
        cloudformation="AWS::SageMaker::Model",
        service="sagemaker",
        name="ModelName",
        create="CreateModel",
        read="DescribeModel",
        delete="DeleteModel",
        computed={"ModelArn": "ModelArn"},
        arn="ModelArn",
        tags=TAGS,
        listing=Listing(operation="ListModels", items="Models", id="ModelName"),
        by_content=True,
        create_first=True,
    )
)


ENDPOINT_CONFIG = ListedType(
    Table(
        type="aws.sagemaker_endpoint_config",
        cloudformation="AWS::SageMaker::EndpointConfig",
        service="sagemaker",
        name="EndpointConfigName",
        create="CreateEndpointConfig",
        read="DescribeEndpointConfig",
        delete="DeleteEndpointConfig",
        computed={"EndpointConfigArn": "EndpointConfigArn"},
        arn="EndpointConfigArn",
        tags=TAGS,
        listing=Listing(operation="ListEndpointConfigs", items="EndpointConfigs", id="EndpointConfigName"),
        by_content=True,
        create_first=True,
    )
)


class Endpoint(TableType):
    """``aws.sagemaker_endpoint``. Its weights and capacities may be changed without a new configuration:
    ``DesiredWeightsAndCapacities`` goes through UpdateEndpointWeightsAndCapacities, in place."""

    def _properties(self, client: Aws, id: str, raw: Raw, names: frozenset[str]) -> dict[str, Value]:
        found = super()._properties(client, id, raw, names)
        if "DesiredWeightsAndCapacities" in names:
            found["DesiredWeightsAndCapacities"] = (
                tuple(
                    [
                        Map(
                            VariantName=v["VariantName"],
                            **{
                                k: v[k if k in v else k.replace("Desired", "Current")]
                                for k in ("DesiredWeight", "DesiredInstanceCount")
                                if v.get(k) is not None or v.get(k.replace("Desired", "Current")) is not None
                            },
                        )
                        for v in raw.get("ProductionVariants", ())
                    ]
                )
                or None
            )
        return found

    async def create(self, client: Aws, desired: Desired, token: str) -> Observed:
        made = await super().create(client, desired, token)
        if desired.attributes.get("DesiredWeightsAndCapacities"):
            await client.run(self._weigh, client, made.id, desired.attributes)
            made = self._stamped(made, await self._settle(client, made, desired.timeout))
        return made

    async def change(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> Raw:
        seen = await super().change(client, recorded, desired, changed - {"DesiredWeightsAndCapacities"})
        weights = desired.attributes.get("DesiredWeightsAndCapacities")
        if weights and changed & {"DesiredWeightsAndCapacities", "EndpointConfigName"}:
            await client.run(self._weigh, client, recorded.id, desired.attributes)
            seen = await self._settle(client, Observed(recorded.id, recorded.attributes), desired.timeout)
        return seen

    def _weigh(self, client: Aws, id: str, attributes: Map) -> None:
        shape = input_shape("sagemaker", "UpdateEndpointWeightsAndCapacities").members["DesiredWeightsAndCapacities"]
        client.insist(
            "sagemaker",
            "UpdateEndpointWeightsAndCapacities",
            EndpointName=id,
            DesiredWeightsAndCapacities=to_api(shape, attributes["DesiredWeightsAndCapacities"]),
        )


ENDPOINT = Endpoint(
    Table(
        type="aws.sagemaker_endpoint",
        cloudformation="AWS::SageMaker::Endpoint",
        service="sagemaker",
        name="EndpointName",
        create="CreateEndpoint",
        read="DescribeEndpoint",
        update="UpdateEndpoint",
        delete="DeleteEndpoint",
        computed={"EndpointArn": "EndpointArn"},
        arn="EndpointArn",
        tags=TAGS,
        silent=("DeploymentConfig", "ExcludeRetainedVariantProperties", "RetainAllVariantProperties", "RetainDeploymentConfig"),
        extra={
            "properties": {
                "DesiredWeightsAndCapacities": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["VariantName"],
                        "properties": {
                            "VariantName": {"type": "string"},
                            "DesiredWeight": {"type": "number", "minimum": 0},
                            "DesiredInstanceCount": {"type": "integer", "minimum": 0},
                        },
                    },
                }
            }
        },
        listing=Listing(
            operation="ListEndpoints",
            items="Endpoints",
            id="EndpointName",
            status="EndpointStatus",
        ),
        states=States(
            path="EndpointStatus",
            ready=frozenset({"InService"}),
            failed=frozenset({"Failed", "OutOfService", "UpdateRollbackFailed"}),
            reason="FailureReason",
            until_gone=True,
        ),
        serves=True,
        costs=True,
    )
)

MODEL_PACKAGE_GROUP = ListedType(
    Table(
        type="aws.sagemaker_model_package_group",
        cloudformation="AWS::SageMaker::ModelPackageGroup",
        service="sagemaker",
        name="ModelPackageGroupName",
        create="CreateModelPackageGroup",
        read="DescribeModelPackageGroup",
        delete="DeleteModelPackageGroup",
        without=("ModelPackageGroupPolicy",),
        computed={"ModelPackageGroupArn": "ModelPackageGroupArn"},
        arn="ModelPackageGroupArn",
        tags=TAGS,
        listing=Listing(operation="ListModelPackageGroups", items="ModelPackageGroupSummaryList", id="ModelPackageGroupName"),
        states=States(
            path="ModelPackageGroupStatus",
            ready=frozenset({"Completed"}),
            failed=frozenset({"Failed", "DeleteFailed"}),
            until_gone=True,
        ),
    )
)


class ModelPackage(TableType):
    """``aws.sagemaker_model_package``: a version in a group. The group numbers it, so that its id is an ARN; versioned packages take
    no tags: the marks stand among its CustomerMetadataProperties."""

    MARK = "mlinfra_op"

    def _make(self, client: Aws, desired: Desired, token: str) -> Observed:
        properties = {**(desired.attributes.get("CustomerMetadataProperties") or {}), self.MARK: token}
        marked = Map({**desired.attributes, "CustomerMetadataProperties": Map(properties)})
        made = super()._make(client, Desired(address=desired.address, type=desired.type, attributes=marked), token)
        kept = {k: v for k, v in made.attributes.items() if k != "CustomerMetadataProperties"}
        return Observed(
            made.id, Map({**kept, **{k: v for k, v in desired.attributes.items() if k == "CustomerMetadataProperties"}})
        )

    def _properties(self, client: Aws, id: str, raw: Raw, names: frozenset[str]) -> dict[str, Value]:
        found = super()._properties(client, id, raw, names)
        own = found.get("CustomerMetadataProperties")
        if isinstance(own, Map):
            found["CustomerMetadataProperties"] = Map({k: v for k, v in own.items() if k != self.MARK}) or None
        return found

    def _is_mine(self, client: Aws, id: str, raw: Raw, desired: Desired, token: str) -> bool:
        return (raw.get("CustomerMetadataProperties") or {}).get(self.MARK) == token

    def _search(self, client: Aws, desired: Desired, token: str) -> str:
        group = desired.attributes.get("ModelPackageGroupName")
        if not group:
            return ""
        rows = client.listed(
            "sagemaker", "ListModelPackages", "ModelPackageSummaryList", ModelPackageGroupName=str(group),
            SortBy="CreationTime", SortOrder="Descending",
        )  # fmt: skip
        for row in rows[:50]:
            raw = self._look(client, row["ModelPackageArn"]) or {}
            if (raw.get("CustomerMetadataProperties") or {}).get(self.MARK) == token:
                return str(row["ModelPackageArn"])
        return ""

    def _update(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> None:
        parameters: dict[str, Any] = {"ModelPackageArn": recorded.id}
        attributes = desired.attributes
        for name in ("ModelApprovalStatus", "ApprovalDescription", "SourceUri"):
            if name in changed and attributes.get(name) is not None:
                parameters[name] = attributes[name]
        if "CustomerMetadataProperties" in changed:
            before = recorded.attributes.get("CustomerMetadataProperties") or {}
            after = attributes.get("CustomerMetadataProperties") or {}
            kept: Mapping[str, Any] = (self._look(client, recorded.id) or {}).get("CustomerMetadataProperties") or {}
            marks = {k: v for k, v in kept.items() if k == self.MARK}
            parameters["CustomerMetadataProperties"] = {**{k: str(v) for k, v in after.items()}, **marks}
            if gone := sorted(set(before) - set(after)):
                parameters["CustomerMetadataPropertiesToRemove"] = gone
        client.call("sagemaker", "UpdateModelPackage", **parameters)


MODEL_PACKAGE = ModelPackage(
    Table(
        type="aws.sagemaker_model_package",
        cloudformation="AWS::SageMaker::ModelPackage",
        service="sagemaker",
        create_first=True,
        key="ModelPackageName",
        id="ModelPackageArn",
        create="CreateModelPackage",
        read="DescribeModelPackage",
        update="UpdateModelPackage",
        delete="DeleteModelPackage",
        without=("AdditionalInferenceSpecificationsToAdd", "ClientToken", "LastModifiedTime", "Tags", "ModelPackageStatusDetails",
                 "ModelPackageVersion", "CreationTime"),
        computed={"ModelPackageArn": "ModelPackageArn"},
        immutable={
            "CertifyForMarketplace": "sagemaker:UpdateModelPackage does not take it",
            "AdditionalInferenceSpecifications": "sagemaker:UpdateModelPackage only adds",
            "ModelPackageName": "sagemaker:UpdateModelPackage does not take it",
            "SkipModelValidation": "sagemaker:UpdateModelPackage does not take it",
            "ModelCard": "sagemaker:UpdateModelPackage takes its status only",
        },
        silent=("ClientToken",),
        states=States(
            path="ModelPackageStatus",
            ready=frozenset({"Completed"}),
            failed=frozenset({"Failed"}),
            reason="ModelPackageStatusDetails.ValidationStatuses.0.FailureReason",
            after_update=False,
        ),
    )
)  # fmt: skip
