"""``endpoint`` on GCP: an endpoint of Vertex AI, a deployed model for each variant, and the split of the traffic.

A new model is deployed beside the old one, then the traffic moves, then the old one goes: there is no gap.
"""

from __future__ import annotations

from collections.abc import Mapping

from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.endpoint import Endpoint, Variant
from mlinfra.kinds.model import ModelVersion
from mlinfra.model.resource import Resource
from mlinfra.model.values import Map, Value, is_known
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.hardware.choice import Choice, Needs
from mlinfra.provider.hardware.lowering import chosen
from mlinfra.provider.lowerings import given, own
from mlinfra.provider.runs.lowering import share
from mlinfra_gcp.lowering.common import bucket_name, labels, machine_spec, named, offers, place, region
from mlinfra_gcp.lowering.model import version_resources

_LEAST = Needs(cpus=2, memory=4 * 2**30)
"""Vertex AI serves on n1-standard-2 and bigger."""


def lower(spec: Endpoint, context: LoweringContext) -> Lowered:
    """``gcp.vertex_endpoint``, a ``gcp.vertex_deployed_model`` for each variant, one ``gcp.vertex_traffic``."""
    _refuse(spec, context)
    choice = chosen(spec.resources, context, offers=offers(), use="serving", region=region(context), least=_LEAST)
    name = str(spec.name or named(context))
    endpoint = context.resource(
        "gcp.vertex_endpoint",
        {**place(context), "name": name, "displayName": name, "dedicatedEndpointEnabled": True,
         **given(labels=labels(context), description=context.component.description or None)},
    )  # fmt: skip
    resources: list[Resource] = [endpoint]
    split: list[Value] = []
    for key, variant in spec.variants.items():
        resources += _model(key, variant, spec, context)
        resources.append(_deployed(key, variant, spec, context, choice))
        split.append(Map(deployedModel=own(context, "name", role="variant", key=key), weight=share(spec, variant)))
    resources.append(
        context.resource("gcp.vertex_traffic", {"endpoint": own(context, "id"), "split": tuple(split)}, role="traffic")
    )
    return Lowered(
        resources=tuple(resources), outputs=Map(id=own(context, "id"), name=own(context, "name"), url=own(context, "url"))
    )


def _deployed(key: str, variant: Variant, spec: Endpoint, context: LoweringContext, choice: Choice) -> Resource:
    metric = "aiplatform.googleapis.com/prediction/online/cpu/utilization"
    scaling = (Map(metricName=metric, target=60),) if _scales(spec) else None
    model = variant.model["uri"] if isinstance(variant.model, Mapping) and "uri" in variant.model else None
    return context.resource(
        "gcp.vertex_deployed_model",
        {
            "endpoint": own(context, "id"),
            "displayName": key,
            "model": model if model is not None else own(context, "uri", role="model", key=key),
            "machineSpec": machine_spec(choice),
            "minReplicaCount": spec.replicas.min,
            "maxReplicaCount": spec.replicas.max,
            **given(autoscalingMetricSpecs=scaling, serviceAccount=context.settings.get("service_account")),
        },
        role="variant",
        key=key,
    )


def _model(key: str, variant: Variant, spec: Endpoint, context: LoweringContext) -> list[Resource]:
    """A model of the endpoint's own, where the variant names no version of a registry."""
    if isinstance(variant.model, Mapping) and "uri" in variant.model:
        return []
    if is_deferred(variant.model) or (
        isinstance(variant.model, str) and "://" not in variant.model and variant.model.startswith("projects/")
    ):
        raise context.error(
            "gcp.variant_model",
            "a variant's model is a version of a registry, a folder of this machine, or gs://…",
            path=("variants", key, "model"),
            hint="write it like ${router.versions.v1}",
        )
    version = ModelVersion(artifact=variant.model, image=variant.image)
    if isinstance(variant.model, str) and "://" not in variant.model:
        raise context.error(
            "gcp.variant_folder",
            "a folder of this machine is served from a registry, whose bucket it is uploaded to",
            path=("variants", key, "model"),
            hint="add a model_registry and a model with this folder as a version's artifact; then write ${model.versions.v1}",
        )
    env = tuple([Map(name=k, value=v) for k, v in sorted(spec.env.items())]) or None
    return version_resources(
        context, version, name=named(context, key), role="model", key=key, path=("variants", key), bucket=bucket_name(context), tag=key,
        env=env,
    )  # fmt: skip


def _refuse(spec: Endpoint, context: LoweringContext) -> None:
    """What Vertex AI cannot do, each with the nearest that it can."""
    for key, variant in spec.variants.items():
        if variant.shadow is not False:
            raise context.error(
                "gcp.no_shadow",
                "Vertex AI mirrors no traffic: a shadow variant cannot be made on gcp",
                path=("variants", key, "shadow"),
                hint="give it a small share instead (traffic: 5); or log requests to BigQuery "
                "(native: {vertex_endpoint: {predictRequestResponseLoggingConfig: …}}) and replay them",
            )
        if not is_known(share(spec, variant)):
            raise context.error("gcp.unknown_traffic", "traffic must be known at plan time", path=("variants", key, "traffic"))
    if spec.sticky is not None:
        raise context.error(
            "gcp.no_sticky",
            "Vertex AI chooses a deployed model for each request by itself: requests cannot be made sticky",
            path=("sticky",),
            hint="leave sticky out, or choose the variant in front of the endpoint",
        )
    if spec.port is not None:
        raise context.error("gcp.no_port", "Vertex AI's endpoints answer on 443", path=("port",), hint="leave port out")
    if not is_deferred(spec.replicas.min) and spec.replicas.min < 1:
        raise context.error(
            "gcp.no_scale_to_zero",
            "Vertex AI keeps at least one replica of a deployed model",
            path=("replicas", "min"),
            hint="write min: 1, or serve the image with kind: gcp.run_service, which scales to none",
        )
    from_registry = [k for k, v in spec.variants.items() if isinstance(v.model, Mapping)]
    if spec.env and from_registry:
        raise context.error(
            "gcp.variant_env",
            f"Vertex AI sets a model's environment when its version is uploaded, not when it is deployed ({', '.join(from_registry)})",
            path=("env",),
            hint="set it with native: {vertex_model: {containerSpec: {env: […]}}} on the model, or serve an image",
        )


def _scales(spec: Endpoint) -> bool:
    least, most = spec.replicas.min, spec.replicas.max
    return is_deferred(least) or is_deferred(most) or most > least
