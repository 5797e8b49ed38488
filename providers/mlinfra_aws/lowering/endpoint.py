"""``endpoint`` on AWS: SageMaker models, an endpoint configuration, an endpoint, Application Auto Scaling.

Models and the configuration never change and are named by their content. Weights are the endpoint's own
(UpdateEndpointWeightsAndCapacities), so that a change of traffic makes no new configuration: the configuration's initial weights count when it is
made, and are left alone after that.
"""

from __future__ import annotations

from collections.abc import Mapping

from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.endpoint import Endpoint, Variant
from mlinfra.model.dataclass import replace
from mlinfra.model.resource import Resource
from mlinfra.model.values import Map, Value
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.hardware.choice import Choice, Needs
from mlinfra.provider.hardware.lowering import chosen
from mlinfra.provider.runs.lowering import share
from mlinfra_aws.images import image
from mlinfra_aws.lowering.common import (
    bucket_arn_of,
    environment,
    given,
    may_read,
    may_run_containers,
    named,
    offers,
    own,
    region_of,
    service_role,
    text,
)

LEAST = Needs(cpus=2, memory=4 * 2**30)
"""A replica that says nothing of its size gets at least this."""


def lower(spec: Endpoint, context: LoweringContext) -> Lowered:
    """A role, a model a variant, a configuration, an endpoint; a target and a policy a variant where replicas vary."""
    _refuse_what_sagemaker_cannot(spec, context)
    region = region_of(context)
    name = spec.name or named(context)
    choice = chosen(spec.resources, context, offers=offers(), use="hosting", region=region, least=LEAST)
    sources = {key: _source(key, variant, context) for key, variant in spec.variants.items()}
    artifacts = [s["archive"] for s in sources.values() if "archive" in s]
    statements = [*may_run_containers(), *(may_read(arn) for arn in dict.fromkeys(bucket_arn_of(a) for a in artifacts))]
    role = service_role(context, named(context, "role", limit=64), statements)
    models = [_model(key, spec, sources[key], choice, region, context) for key in spec.variants]
    resources = [role, *models, _config(spec, choice, context), _endpoint(spec, name, context)]
    resources += _scaling(spec, name, context)
    endpoint = own(context, "EndpointName")
    url = text(f"https://runtime.sagemaker.{region}.amazonaws.com/endpoints/${{name}}/invocations", name=endpoint)
    return Lowered(resources=tuple(resources), outputs=Map(id=endpoint, name=endpoint, url=url))


def _refuse_what_sagemaker_cannot(spec: Endpoint, context: LoweringContext) -> None:
    serving = [k for k, v in spec.variants.items() if v.shadow is not True]
    shadows = [k for k, v in spec.variants.items() if v.shadow is True]

    def refuse(message: str, path: tuple[str, ...], hint: str) -> None:
        raise context.error("aws.endpoint", message, path=path, hint=hint)

    if spec.sticky is not None:
        refuse("SageMaker cannot bind a caller to a variant by a header", ("sticky",), "target docker can; on SageMaker, name the variant "
               "in the request (TargetVariant)")  # fmt: skip
    if spec.port is not None:
        refuse("a SageMaker endpoint has no port to choose", ("port",), "leave it out")
    if spec.health.path != "/ping":
        refuse("SageMaker asks for health at /ping alone", ("health", "path"), "leave it out, and answer there")
    if not is_deferred(spec.replicas.min) and spec.replicas.min == 0:
        refuse("a SageMaker endpoint keeps one instance at least", ("replicas", "min"), "min: 1; for none while idle use serverless "
               "inference by kind aws.sagemaker_endpoint_config")  # fmt: skip
    if shadows and (len(serving), len(shadows)) != (1, 1):
        path = ("variants", shadows[-1], "shadow")
        refuse(
            "SageMaker mirrors one variant to one shadow", path, "keep one serving variant and one shadow, or use target docker"
        )


def _source(key: str, variant: Variant, context: LoweringContext) -> dict[str, Value]:
    """``image``, or ``archive``: the model's URI in S3."""
    if variant.image is not None:
        return {"image": variant.image}
    model = variant.model
    path = ("variants", key, "model")
    if isinstance(model, Mapping):
        uri = model["uri"]
        if not is_deferred(uri) and not str(uri).startswith("s3://"):
            return {"image": uri}  # a version that is an image
        return {"archive": text("${uri}/model.tar.gz", uri=uri)}
    if is_deferred(model):
        raise context.error(
            "aws.unknown_model",
            "a variant's model must be a model version",
            path=path,
            hint="write it like ${router.versions.v1}",
        )
    if str(model).startswith("s3://"):
        return {"archive": model}
    if "://" in str(model) or str(model).startswith(("models:/", "runs:/")):
        raise context.error("aws.remote_model", f"aws cannot read {model!r}", path=path, hint="give a model version, or a folder")
    raise context.error(
        "aws.model_folder",
        "an endpoint on aws takes its models from a registry: they must lie in S3",
        path=path,
        hint="add a model_registry and a model, and refer to its version: ${router.versions.v1}",
    )


def _model(
    key: str, spec: Endpoint, source: Mapping[str, Value], choice: Choice, region: str, context: LoweringContext
) -> Resource:
    env: dict[str, Value] = dict(spec.env)
    container: dict[str, Value] = {"Image": source.get("image")}
    if "archive" in source:
        serving = "serving-gpu" if choice.offer.count else "serving"
        container = {"Image": image(context, serving, region), "ModelDataUrl": source["archive"]}
        env = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code", **env}
    if env:
        container["Environment"] = environment(env)
    return context.resource(
        "aws.sagemaker_model",
        {"ExecutionRoleArn": own(context, "Arn", role="role"), "PrimaryContainer": Map(container)},
        role="model",
        key=key,
    )


def _config(spec: Endpoint, choice: Choice, context: LoweringContext) -> Resource:
    def variant(key: str, v: Variant) -> Map:
        startup = spec.health.timeout if is_deferred(spec.health.timeout) else max(60, min(3600, round(spec.health.timeout)))
        return Map(
            VariantName=key,
            ModelName=own(context, "ModelName", role="model", key=key),
            InstanceType=choice.offer.type,
            InitialInstanceCount=spec.replicas.min,
            InitialVariantWeight=share(spec, v),
            ContainerStartupHealthCheckTimeoutInSeconds=startup,
        )

    production = [variant(k, v) for k, v in spec.variants.items() if v.shadow is not True]
    shadow = [variant(k, v) for k, v in spec.variants.items() if v.shadow is True]
    config = context.resource(
        "aws.sagemaker_endpoint_config", given(ProductionVariants=tuple(production), ShadowProductionVariants=tuple(shadow) or None),
        role="config",
    )  # fmt: skip
    once = [
        f"ProductionVariants[{i}].{name}"
        for i in range(len(production))
        for name in ("InitialVariantWeight", "InitialInstanceCount")
    ]
    ignore = (*config.lifecycle.ignore_changes, *once)
    return replace(config, lifecycle=replace(config.lifecycle, ignore_changes=ignore))


def _endpoint(spec: Endpoint, name: Value, context: LoweringContext) -> Resource:
    """With auto scaling the number of instances is its affair, and no wish of ours."""
    scaled = _scales(spec)
    wishes = [
        Map(given(VariantName=k, DesiredWeight=share(spec, v), DesiredInstanceCount=None if scaled else spec.replicas.min))
        for k, v in spec.variants.items()
        if v.shadow is not True
    ]
    return context.resource(
        "aws.sagemaker_endpoint",
        {
            "EndpointName": name,
            "EndpointConfigName": own(context, "EndpointConfigName", role="config"),
            "DesiredWeightsAndCapacities": tuple(wishes),
        },
    )


def _scales(spec: Endpoint) -> bool:
    least, most = spec.replicas.min, spec.replicas.max
    return is_deferred(least) or is_deferred(most) or most > least


def _scaling(spec: Endpoint, name: Value, context: LoweringContext) -> list[Resource]:
    if not _scales(spec):
        return []
    found: list[Resource] = []
    for key, variant in spec.variants.items():
        if variant.shadow is True:
            continue
        place = {
            "ServiceNamespace": "sagemaker",
            "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
            "ResourceId": text(f"endpoint/${{name}}/variant/{key}", name=own(context, "EndpointName")),
        }
        target = {**place, "MinCapacity": spec.replicas.min, "MaxCapacity": spec.replicas.max}
        found.append(context.resource("aws.appautoscaling_target", target, role="scaling", key=key))
        if spec.replicas.target is not None:
            metric = Map(PredefinedMetricType="SageMakerVariantConcurrentRequestsPerModelHighResolution")
            policy = {
                **place,
                "PolicyName": named(context, f"{key}-concurrency"),
                "PolicyType": "TargetTrackingScaling",
                "TargetTrackingScalingPolicyConfiguration": Map(
                    PredefinedMetricSpecification=metric, TargetValue=spec.replicas.target.concurrency
                ),
            }
            after = (own(context, role="scaling", key=key).address,)
            found.append(context.resource("aws.appautoscaling_policy", policy, role="policy", key=key, depends_on=after))
    return found
