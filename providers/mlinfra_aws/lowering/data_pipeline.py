"""``data_pipeline`` on AWS: a SageMaker pipeline of processing steps, a run of it, a schedule of EventBridge.

The definition's language: https://aws-sagemaker-mlops.github.io/sagemaker-model-building-pipeline-definition-JSON-schema/
Each execution writes below a folder of its own; ``aws.pipeline_run`` then keeps what it left by content.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlinfra.kinds.data_pipeline import DataPipeline
from mlinfra.kinds.training_cluster import Resources
from mlinfra.model.resource import Resource
from mlinfra.model.values import Map, Secret, Value, is_known, leaves
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.hardware.lowering import chosen
from mlinfra.provider.runs.lowering import pipeline
from mlinfra_aws.images import image
from mlinfra_aws.lowering.common import (
    allow,
    bucket,
    environment,
    given,
    may_run_containers,
    named,
    offers,
    own,
    reach,
    region_of,
    service_role,
    text,
)
from mlinfra_aws.lowering.cron import to_eventbridge
from mlinfra_aws.lowering.training_cluster import LEAST
from mlinfra_aws.packing import command

_DAY = 86400
_IN, _OUT = "/opt/ml/processing/input", "/opt/ml/processing/output"


def lower(spec: DataPipeline, context: LoweringContext) -> Lowered:
    """A bucket, a role, the code's archive, the pipeline, a run, and a schedule with a role of its own where there is one."""
    if spec.ui:
        raise context.error(
            "aws.pipeline_page",
            "SageMaker Studio shows pipelines; there is no page to be served",
            path=("ui",),
            hint="leave it out",
        )
    region = region_of(context)
    attributes = pipeline(spec, context)
    _refuse_secrets(attributes["steps"], context)
    name = named(context, limit=50)
    where = own(context, "BucketName", role="bucket")
    code = context.resource(
        "aws.run_code",
        given(bucket=where, code=attributes["code"], steps=attributes["steps"], requirements=_some(attributes["requirements"])),
        role="code",
    )  # fmt: skip
    may = [*may_run_containers(), *reach(context, where), *_may_process(name)]
    role = service_role(context, f"{name}-steps", may, role="role")
    machine = chosen(Resources(), context, offers=offers(), use="processing", region=region, least=LEAST).offer.type
    container = spec.image or image(context, "cpu", region)
    steps = [
        _step(key, step, attributes["steps"], name, machine, container, context) for key, step in attributes["steps"].items()
    ]
    made = context.resource(
        "aws.sagemaker_pipeline",
        {
            "PipelineName": name,
            "RoleArn": own(context, "Arn", role="role"),
            "PipelineDefinition": Map(
                PipelineDefinitionBody=Map(Version="2020-12-01", Metadata=Map(), Parameters=(), Steps=tuple(steps))
            ),
        },
        role="pipeline",
    )
    run = context.resource(
        "aws.pipeline_run",
        given(
            pipeline=own(context, "PipelineName", role="pipeline"),
            bucket=where,
            code=attributes["code"],
            steps=attributes["steps"],
            requirements=_some(attributes["requirements"]),
            image=spec.image,
            definition=own(context, "uri", role="code"),
            run_on_apply=spec.run_on_apply,
        ),
    )
    written = [output for step in spec.steps.values() for output in step.outputs]
    outputs = Map(
        id=own(context, "pipeline"),
        outputs=Map({o: own(context, "outputs", o) for o in written}),
        metrics=own(context, "metrics"),
        ui=None,
        fingerprint=own(context, "fingerprint"),
    )
    resources = [bucket(context, name, role="bucket"), role, code, made, run, *_schedule(spec, name, context)]
    return Lowered(resources=tuple(resources), outputs=outputs)


def _some(value: Value) -> Value:
    return value or None


def _may_process(name: str) -> tuple[Map, ...]:
    jobs = (
        "sagemaker:CreateProcessingJob",
        "sagemaker:DescribeProcessingJob",
        "sagemaker:StopProcessingJob",
        "sagemaker:AddTags",
    )
    passing = Map(
        Effect="Allow",
        Action="iam:PassRole",
        Resource=f"arn:aws:iam::*:role/{name}-steps",
        Condition=Map(StringEquals=Map({"iam:PassedToService": "sagemaker.amazonaws.com"})),
    )
    return allow(jobs, ("arn:aws:sagemaker:*:*:processing-job/*",)), passing


def _step(
    key: str,
    step: Mapping[str, Any],
    steps: Mapping[str, Any],
    name: str,
    machine: str,
    container: Value,
    context: LoweringContext,
) -> Map:
    """One processing step."""
    where = own(context, "BucketName", role="bucket")
    inputs = [_input("mlinfra", own(context, "uri", role="code"))]
    for input, value in step.get("inputs", {}).items():
        uri = value.get("uri") if isinstance(value, Mapping) else value
        if isinstance(uri, str) and is_known(uri) and not uri.startswith("s3://"):
            raise context.error(
                "aws.local_input",
                f"the input {input} of step {key} is {uri!r}: SageMaker reads from S3",
                path=("steps", key, "inputs", input),
                hint="make it a dataset, and write ${NAME.uri}",
            )
        inputs.append(_input(input, uri))
    for input, source in step.get("takes", {}).items():
        writer, _, output = source.partition(".")
        inputs.append(_input(input, _executed(where, name, writer, output)))
    if step.get("command") is None:
        inputs += [_input(f"mlinfra-{need}", _executed(where, name, need, "mlinfra")) for need in step.get("needs", ())]
    outputs = [*step.get("outputs", ()), "mlinfra"]
    needs = dict.fromkeys((*step.get("needs", ()), *(s.partition(".")[0] for s in step.get("takes", {}).values())))
    arguments: dict[str, Value] = {
        "ProcessingResources": Map(ClusterConfig=Map(InstanceType=machine, InstanceCount=1, VolumeSizeInGB=30)),
        "AppSpecification": Map(ImageUri=container, ContainerEntrypoint=command("processing/input/mlinfra", key)),
        "RoleArn": own(context, "Arn", role="role"),
        "ProcessingInputs": tuple(inputs),
        "ProcessingOutputConfig": Map(Outputs=tuple(_output(o, _executed(where, name, key, o)) for o in outputs)),
        "StoppingCondition": Map(MaxRuntimeInSeconds=round(step.get("timeout") or _DAY)),
    }
    env = environment(step.get("env", {}))
    if env:
        arguments["Environment"] = env
    found: dict[str, Value] = {"Name": key, "Type": "Processing", "Arguments": Map(arguments)}
    if needs:
        found["DependsOn"] = tuple(needs)
    if step.get("retries"):
        policy = Map(
            ExceptionType=("Step.SERVICE_FAULT", "Step.THROTTLING", "SageMaker.JOB_INTERNAL_ERROR"), MaxAttempts=step["retries"]
        )
        found["RetryPolicies"] = (policy,)
    return Map(found)


def _executed(bucket: Value, name: str, step: str, output: str) -> Map:
    """Where this execution's step writes: its id is known when it runs."""
    begin = text(f"s3://${{bucket}}/executions/{name}", bucket=bucket)
    return Map({"Std:Join": Map(On="/", Values=(begin, Map(Get="Execution.PipelineExecutionId"), step, output))})


def _input(name: str, uri: Value) -> Map:
    s3 = Map(
        S3Uri=uri, LocalPath=f"{_IN}/{name}", S3DataType="S3Prefix", S3InputMode="File", S3DataDistributionType="FullyReplicated"
    )
    return Map(InputName=name, S3Input=s3)


def _output(name: str, uri: Value) -> Map:
    return Map(OutputName=name, S3Output=Map(S3Uri=uri, LocalPath=f"{_OUT}/{name}", S3UploadMode="EndOfJob"))


def _refuse_secrets(steps: Mapping[str, Any], context: LoweringContext) -> None:
    for path, leaf in leaves(Map(steps)):
        if isinstance(leaf, Secret):
            raise context.error(
                "aws.secret_in_pipeline",
                "SageMaker keeps a pipeline's definition in plain text: a secret cannot stand in it",
                path=("steps", *path),
                hint="put it into aws.secretsmanager_secret, and let the step read it by its name",
            )


def _schedule(spec: DataPipeline, name: str, context: LoweringContext) -> list[Resource]:
    if spec.schedule is None:
        return []
    if not is_known(spec.schedule):
        raise context.error("aws.unknown_schedule", "the schedule must be known at plan time", path=("schedule",))
    arn = own(context, "PipelineArn", role="pipeline")
    start = [allow(("sagemaker:StartPipelineExecution",), (arn,))]
    starter = service_role(context, f"{name}-schedule", start, service="scheduler.amazonaws.com", role="starter")
    try:
        expression = to_eventbridge(str(spec.schedule))
    except ValueError as error:
        raise context.error(
            "aws.schedule", str(error), path=("schedule",), hint="use two pipelines, or one field of the two"
        ) from None
    schedule = context.resource(
        "aws.scheduler_schedule",
        {
            "Name": name,
            "ScheduleExpression": expression,
            "ScheduleExpressionTimezone": spec.timezone,
            "FlexibleTimeWindow": Map(Mode="OFF"),
            "Target": Map(
                Arn=arn,
                RoleArn=own(context, "Arn", role="starter"),
                SageMakerPipelineParameters=Map(PipelineParameterList=()),
            ),
        },
        role="schedule",
    )
    return [starter, schedule]
