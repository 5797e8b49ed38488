"""SageMaker's working side: training jobs, pipelines, notebook instances, MLflow tracking servers, HyperPod clusters."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import Map, Path, Value
from mlinfra.provider.failures import Conflict, Invalid, NotFound
from mlinfra_aws.client import Aws
from mlinfra_aws.engine.answers import Raw
from mlinfra_aws.engine.listed import ListedType
from mlinfra_aws.engine.resource import TableType
from mlinfra_aws.engine.table import Listing, States, Table
from mlinfra_aws.resources.sagemaker import TAGS


class Notebook(ListedType):
    """``aws.sagemaker_notebook_instance``. It must be stopped to be changed or deleted, and is started again after a change."""

    async def _stop(self, client: Aws, recorded: ResourceState) -> bool:
        """Whether it ran."""
        seen = Observed(recorded.id, recorded.attributes)
        raw = await self.until(client, seen, frozenset({"InService", "Stopped", "Failed"}), gone=True)
        if raw is None or raw["state"] != "InService":
            return False
        await client.run(client.insist, "sagemaker", "StopNotebookInstance", NotebookInstanceName=recorded.id)
        await self.until(client, seen, frozenset({"Stopped", "Failed"}), gone=True)
        return True

    async def change(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> Raw:
        if changed <= {"Tags"}:
            await client.run(self._change, client, recorded, desired, changed)
            return {}
        ran = await self._stop(client, recorded)
        await client.run(self._change, client, recorded, desired, changed)
        seen = Observed(recorded.id, recorded.attributes)
        raw = await self.until(client, seen, frozenset({"Stopped", "Failed"}), desired.timeout)
        if ran:
            await client.run(client.insist, "sagemaker", "StartNotebookInstance", NotebookInstanceName=recorded.id)
            return await self._settle(client, seen, desired.timeout)
        return raw or {}

    def _update(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> None:
        sent = self._parameters(
            client, "UpdateNotebookInstance", Map({k: v for k, v in desired.attributes.items() if k in changed})
        )
        for name, switch in (
            ("LifecycleConfigName", "DisassociateLifecycleConfig"),
            ("DefaultCodeRepository", "DisassociateDefaultCodeRepository"),
            ("AdditionalCodeRepositories", "DisassociateAdditionalCodeRepositories"),
        ):
            if name in changed and not desired.attributes.get(name):
                sent[switch] = True
        client.call("sagemaker", "UpdateNotebookInstance", **{**sent, "NotebookInstanceName": recorded.id})

    async def delete(self, client: Aws, recorded: ResourceState) -> None:
        await self._stop(client, recorded)
        await super().delete(client, recorded)


NOTEBOOK = Notebook(
    Table(
        type="aws.sagemaker_notebook_instance",
        cloudformation="AWS::SageMaker::NotebookInstance",
        service="sagemaker",
        name="NotebookInstanceName",
        create="CreateNotebookInstance",
        read="DescribeNotebookInstance",
        update="UpdateNotebookInstance",
        delete="DeleteNotebookInstance",
        computed={"NotebookInstanceArn": "NotebookInstanceArn"},
        arn="NotebookInstanceArn",
        names={"SecurityGroupIds": "SecurityGroups", "LifecycleConfigName": "NotebookInstanceLifecycleConfigName"},
        tags=TAGS,
        listing=Listing(
            operation="ListNotebookInstances", items="NotebookInstances", id="NotebookInstanceName", gives="stamp",
            stamp="LastModifiedTime", status="NotebookInstanceStatus",
        ),
        states=States(
            path="NotebookInstanceStatus", ready=frozenset({"InService"}), failed=frozenset({"Failed"}), reason="FailureReason",
            until_gone=True,
        ),
        costs=True,
    )
)  # fmt: skip


class Pipeline(TableType):
    """``aws.sagemaker_pipeline``. Its definition is a JSON text (``PipelineDefinitionBody``) or lies in S3."""

    reshaped = frozenset({"PipelineDefinition"})

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        """A body that is written as a map is sent as text."""
        definition = attributes.get("PipelineDefinition")
        if isinstance(definition, Mapping) and isinstance(definition.get("PipelineDefinitionBody"), Mapping):
            attributes = Map({**attributes, "PipelineDefinition": Map({**definition, "PipelineDefinitionBody": "{}"})})
        return super().validate(attributes)

    def _parameters(self, client: Aws, operation: str, attributes: Map) -> dict[str, Any]:
        found = super()._parameters(client, operation, Map({k: v for k, v in attributes.items() if k != "PipelineDefinition"}))
        definition = attributes.get("PipelineDefinition")
        if definition and "PipelineDefinitionBody" in definition:
            body = definition["PipelineDefinitionBody"]
            from mlinfra_aws.engine.translate import document

            found["PipelineDefinition"] = body if isinstance(body, str) else document(body)
        elif definition and "PipelineDefinitionS3Location" in definition:
            place = definition["PipelineDefinitionS3Location"]
            found["PipelineDefinitionS3Location"] = {
                "Bucket": place["Bucket"],
                "ObjectKey": place["Key"],
                **({"VersionId": place["Version"]} if "Version" in place else {}),
            }
        return found

    def _properties(self, client: Aws, id: str, raw: Raw, names: frozenset[str]) -> dict[str, Value]:
        found = super()._properties(client, id, raw, names - {"PipelineDefinition"})
        if "PipelineDefinition" in names:
            found["PipelineDefinition"] = Map(PipelineDefinitionBody=raw.get("PipelineDefinition") or "")
        return found

    def _as_wanted(self, client: Aws, id: str, raw: Raw, wanted: Map) -> Observed:
        seen = super()._as_wanted(client, id, raw, wanted)
        if "PipelineDefinitionS3Location" in (wanted.get("PipelineDefinition") or {}):  # SageMaker tells the text alone
            return Observed(id, Map({**seen.attributes, "PipelineDefinition": wanted["PipelineDefinition"]}))
        return seen

    def _delete(self, client: Aws, recorded: ResourceState) -> None:
        token = f"{time.time_ns():032x}"
        client.call("sagemaker", "DeletePipeline", PipelineName=recorded.id, ClientRequestToken=token)


PIPELINE = Pipeline(
    Table(
        type="aws.sagemaker_pipeline",
        cloudformation="AWS::SageMaker::Pipeline",
        service="sagemaker",
        name="PipelineName",
        create="CreatePipeline",
        read="DescribePipeline",
        update="UpdatePipeline",
        delete="DeletePipeline",
        computed={"PipelineArn": "PipelineArn"},
        arn="PipelineArn",
        tags=TAGS,
        limit=256,
    )
)


class TrainingJob(TableType):
    """``aws.sagemaker_training_job``, in CreateTrainingJob's words: CloudFormation has none for it. It runs once; every change is
    another job. Deleting stops it when it still runs."""

    async def delete(self, client: Aws, recorded: ResourceState) -> None:
        with suppress(Invalid, Conflict, NotFound):  # it has ended meanwhile
            if (await client.run(self._look, client, recorded.id) or {}).get("TrainingJobStatus") == "InProgress":
                await client.run(client.insist, "sagemaker", "StopTrainingJob", TrainingJobName=recorded.id)
        seen = Observed(recorded.id, recorded.attributes)
        if await self.until(client, seen, frozenset({"Completed", "Failed", "Stopped"}), gone=True) is not None:
            await super().delete(client, recorded)


_JOB = "sagemaker: a training job runs as it was made"
_JOB_TEXT = ("TrainingJobName", "RoleArn")
_JOB_MAPS = (
    "AlgorithmSpecification", "OutputDataConfig", "ResourceConfig", "StoppingCondition", "HyperParameters", "VpcConfig", "Environment",
    "CheckpointConfig", "DebugHookConfig", "TensorBoardOutputConfig", "ExperimentConfig", "ProfilerConfig", "RetryStrategy",
    "InfraCheckConfig",
)  # fmt: skip
_JOB_LISTS = ("InputDataConfig", "DebugRuleConfigurations", "ProfilerRuleConfigurations")
_JOB_SWITCHES = ("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining")

TRAINING_JOB = TrainingJob(
    Table(
        type="aws.sagemaker_training_job",
        cloudformation="",
        service="sagemaker",
        name="TrainingJobName",
        create="CreateTrainingJob",
        read="DescribeTrainingJob",
        delete="DeleteTrainingJob",
        extra={
            "properties": {
                **{n: {"type": "string"} for n in _JOB_TEXT},
                **{n: {"type": "object"} for n in _JOB_MAPS},
                **{n: {"type": "array"} for n in _JOB_LISTS},
                **{n: {"type": "boolean"} for n in _JOB_SWITCHES},
            },
            "required": ["AlgorithmSpecification", "OutputDataConfig", "ResourceConfig", "RoleArn", "StoppingCondition"],
        },
        immutable={n: _JOB for n in (*_JOB_TEXT, *_JOB_MAPS, *_JOB_LISTS, *_JOB_SWITCHES)},
        computed={
            "TrainingJobArn": "TrainingJobArn",
            "ModelArtifacts": "ModelArtifacts",
            "TrainingJobStatus": "TrainingJobStatus",
        },
        arn="TrainingJobArn",
        tags=TAGS,
        states=States(
            path="TrainingJobStatus",
            ready=frozenset({"Completed"}),
            failed=frozenset({"Failed", "Stopped"}),
            reason="FailureReason",
            limit=5 * 86400.0,
            pace=30.0,
        ),
        reread=True,
        by_content=True,
        costs=True,
    )
)

TRACKING_SERVER = TableType(
    Table(
        type="aws.sagemaker_mlflow_tracking_server",
        cloudformation="AWS::SageMaker::MlflowTrackingServer",
        service="sagemaker",
        name="TrackingServerName",
        create="CreateMlflowTrackingServer",
        read="DescribeMlflowTrackingServer",
        update="UpdateMlflowTrackingServer",
        delete="DeleteMlflowTrackingServer",
        computed={"TrackingServerArn": "TrackingServerArn", "TrackingServerUrl": "TrackingServerUrl"},
        arn="TrackingServerArn",
        tags=TAGS,
        immutable={"MlflowVersion": "sagemaker:UpdateMlflowTrackingServer does not take it",
                   "RoleArn": "sagemaker:UpdateMlflowTrackingServer does not take it"},
        states=States(
            path="TrackingServerStatus",
            ready=frozenset({"Created", "Started", "Updated", "MaintenanceComplete"}),
            failed=frozenset({"CreateFailed", "UpdateFailed", "StartFailed", "DeleteFailed", "MaintenanceFailed"}),
            until_gone=True,
        ),
        reread=True,
        holds_data=True,
        costs=True,
        limit=256,
    )
)  # fmt: skip


class Cluster(TableType):
    """``aws.sagemaker_cluster``: a HyperPod cluster. SageMaker tells how many instances are aimed at where it was asked for a number."""

    def _properties(self, client: Aws, id: str, raw: Raw, names: frozenset[str]) -> dict[str, Value]:
        told = {**raw}
        for groups in ("InstanceGroups", "RestrictedInstanceGroups"):
            if raw.get(groups):
                told[groups] = [{"InstanceCount": g.get("TargetCount"), **g} for g in raw[groups]]
        return super()._properties(client, id, told, names)

    def _update(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> None:
        before = {g["InstanceGroupName"] for g in recorded.attributes.get("InstanceGroups") or ()}
        after = {g["InstanceGroupName"] for g in desired.attributes.get("InstanceGroups") or ()}
        sent = self._parameters(client, "UpdateCluster", desired.attributes)
        if before - after:
            sent["InstanceGroupsToDelete"] = sorted(before - after)
        client.call("sagemaker", "UpdateCluster", **{**sent, "ClusterName": recorded.id})


CLUSTER = Cluster(
    Table(
        type="aws.sagemaker_cluster",
        cloudformation="AWS::SageMaker::Cluster",
        service="sagemaker",
        name="ClusterName",
        create="CreateCluster",
        read="DescribeCluster",
        update="UpdateCluster",
        delete="DeleteCluster",
        computed={"ClusterArn": "ClusterArn"},
        arn="ClusterArn",
        tags=TAGS,
        listing=Listing(operation="ListClusters", items="ClusterSummaries", id="ClusterName", status="ClusterStatus"),
        states=States(
            path="ClusterStatus",
            ready=frozenset({"InService"}),
            failed=frozenset({"Failed", "RollingBack"}),
            reason="FailureMessage",
            until_gone=True,
        ),
        costs=True,
    )
)
