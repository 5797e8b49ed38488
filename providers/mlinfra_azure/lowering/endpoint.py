"""``endpoint`` on Azure: an online endpoint, a deployment for each variant, and the split of the traffic.

A new model is deployed beside the old one under a name of its own, then the traffic moves, then the old one goes: there is no gap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.endpoint import Endpoint, Variant
from mlinfra.model.dataclass import replace
from mlinfra.model.resource import Resource
from mlinfra.model.values import Expr, Map, Value, is_known
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.hardware.choice import Choice, Needs
from mlinfra.provider.hardware.lowering import chosen
from mlinfra.provider.naming import digest_of, physical_name
from mlinfra.provider.runs.lowering import share
from mlinfra.provider.runs.words import text as worded
from mlinfra_azure.lowering import environments
from mlinfra_azure.lowering.base import after_identity, after_rights, inside, runs_as, workspace, workspace_of
from mlinfra_azure.lowering.common import given, location, named, offers, own, worldwide
from mlinfra_azure.lowering.model import image_of

_LEAST = Needs(cpus=2, memory=4 * 2**30)
_MIRROR = 50
"""https://learn.microsoft.com/azure/machine-learning/how-to-safely-rollout-online-endpoints#test-the-deployment-with-mirrored-traffic"""


def lower(spec: Endpoint, context: LoweringContext) -> Lowered:
    """``azure.ml_online_endpoint``, an ``azure.ml_online_deployment`` for each variant, one ``azure.traffic_split``; rules of Azure Monitor
    where the number of replicas has a range."""
    _refuse(spec, context)
    choice = chosen(spec.resources, context, offers=offers(), use="serving", region=location(context), least=_LEAST)
    name = spec.name or worldwide(named(context), context, limit=32, separator="-")
    endpoint = context.resource(
        "azure.ml_online_endpoint",
        {
            "name": name,
            "parent": workspace_of(context),
            "location": location(context),
            **runs_as(context),
            "authMode": "Key",
            "publicNetworkAccess": "Enabled",
            **given(description=context.component.description or None),
        },
        depends_on=after_identity(context),
    )
    resources: list[Resource] = [*workspace(context), endpoint]
    for key, variant in spec.variants.items():
        resources += _variant(key, variant, spec, context, choice)
    resources.append(_traffic(spec, context))
    outputs = Map(id=own(context, "id"), name=own(context, "name"), url=own(context, "scoringUri"))
    unique = {r.address: r for r in resources}
    return Lowered(resources=tuple(unique.values()), outputs=outputs)


def _variant(key: str, variant: Variant, spec: Endpoint, context: LoweringContext, choice: Choice) -> list[Resource]:
    image, model, digest = _served(key, variant, context)
    environment = (
        environments.serving(context, spec.health.path)
        if image is None
        else environments.of_image(context, image, key=key, ping=spec.health.path)
    )
    env = {k: worded(v) if is_known(v) else v for k, v in spec.env.items()}
    fixed = [choice.offer.type, environment[-1].attributes["name"]]
    deployment = context.resource(
        "azure.ml_online_deployment",
        {
            "name": _name(key, fixed, digest),
            "parent": own(context, "id"),
            "location": location(context),
            "endpointComputeType": "Managed",
            "sku": Map(name="Default", capacity=spec.replicas.min),
            "instanceType": choice.offer.type,
            "model": model,
            "environmentId": environments.serving_id(context, environment),
            "scaleSettings": Map(scaleType="Default"),
            "livenessProbe": Map(initialDelay="PT10S", period="PT10S", timeout="PT2S", failureThreshold=30, successThreshold=1),
            "readinessProbe": Map(
                initialDelay="PT10S", period="PT10S", timeout="PT2S", failureThreshold=_tries(spec), successThreshold=1
            ),
            **given(
                environmentVariables=Map(env) if env else None,
                requestSettings=Map(maxConcurrentRequestsPerInstance=spec.replicas.target.concurrency)
                if spec.replicas.target is not None
                else None,
            ),
        },
        role="variant",
        key=key,
        depends_on=after_rights(context),
    )
    if not _scales(spec):
        return [*environment, deployment]
    # Azure Monitor moves the number of replicas: what it chose is no drift
    free = replace(deployment.lifecycle, ignore_changes=(*deployment.lifecycle.ignore_changes, "sku"))
    return [*environment, replace(deployment, lifecycle=free), _autoscale(key, spec, context)]


def _served(key: str, variant: Variant, context: LoweringContext) -> tuple[Value, Value, Value]:
    """A variant's image (None: MLflow's server), its model, and the digest of what it serves."""
    if variant.image is not None:
        return variant.image, None, variant.image if is_deferred(variant.image) else digest_of(variant.image)
    if isinstance(variant.model, Mapping) and "uri" in variant.model:
        image = image_of(variant.model["uri"])
        return image, None if image is not None else variant.model["uri"], variant.model["digest"]
    raise context.error(
        "azure.variant_model",
        "a variant's model on azure is a version of a registry",
        path=("variants", key, "model"),
        hint="add a model_registry and a model with this as a version's artifact; then write ${model.versions.v1}",
    )


def _name(key: str, fixed: list[Value], digest: Value) -> Value:
    """A deployment's name, 3 to 32 letters, digits and ``-``: other content is another deployment, beside the old one."""
    constant = physical_name("", "", key, limit=16)
    mark = digest_of(fixed, 4)
    if isinstance(digest, str):
        return f"{constant}-{mark}{digest.removeprefix('sha256:')[:8]}"
    return Expr(f"{constant}-{mark}${{digest.split(':')[1].substring(0, 8)}}", ((("digest",), digest),))


def _tries(spec: Endpoint) -> Value:
    """How often Azure asks, every ten seconds, until it gives up."""
    timeout = spec.health.timeout
    return 6 if is_deferred(timeout) else max(1, math.ceil(timeout / 10))


def _traffic(spec: Endpoint, context: LoweringContext) -> Resource:
    serving = {key: v for key, v in spec.variants.items() if v.shadow is False}
    live = {key: share(spec, v) if len(serving) > 1 else 100 for key, v in serving.items()}
    shadows = {key: share(spec, v) for key, v in spec.variants.items() if v.shadow is True}
    split = [Map(deployment=own(context, "name", role="variant", key=k), percent=p) for k, p in _percents(live).items()]
    mirror = [Map(deployment=own(context, "name", role="variant", key=k), percent=p) for k, p in shadows.items()]
    return context.resource(
        "azure.traffic_split", {"endpoint": own(context, "id"), "split": tuple(split), "mirror": tuple(mirror)}, role="traffic"
    )


def _percents(weights: Mapping[str, int]) -> dict[str, int]:
    """Weights as whole percents that add up to 100: what is left over goes to those that lost most by rounding down."""
    whole = sum(weights.values())
    exact = {key: 100 * weight / whole for key, weight in weights.items()}
    found = {key: math.floor(value) for key, value in exact.items()}
    for key in sorted(exact, key=lambda k: found[k] - exact[k])[: 100 - sum(found.values())]:
        found[key] += 1
    return found


def _autoscale(key: str, spec: Endpoint, context: LoweringContext) -> Resource:
    """Between min and max by the load of the processors.
    https://learn.microsoft.com/azure/machine-learning/how-to-autoscale-endpoints"""
    target = own(context, "id", role="variant", key=key)

    def rule(direction: str, operator: str, threshold: int, window: str) -> Map:
        return Map(
            metricTrigger=Map(
                metricName="CpuUtilizationPercentage", metricResourceUri=target, timeGrain="PT1M", statistic="Average",
                timeWindow=window, timeAggregation="Average", operator=operator, threshold=threshold,
            ),
            scaleAction=Map(direction=direction, type="ChangeCount", value="1", cooldown="PT5M"),
        )  # fmt: skip

    counts = Map(minimum=str(spec.replicas.min), maximum=str(spec.replicas.max), default=str(spec.replicas.min))
    rules = (rule("Increase", "GreaterThan", 70, "PT5M"), rule("Decrease", "LessThan", 30, "PT15M"))
    return context.resource(
        "azure.arm",
        {
            "type": "Microsoft.Insights/autoscaleSettings@2022-10-01",
            "name": named(context, f"{key}-scale", limit=200),
            **inside(context),
            "body": Map(
                properties=Map(enabled=True, targetResourceUri=target, profiles=(Map(name="load", capacity=counts, rules=rules),))
            ),
        },
        role="scaling",
        key=key,
    )


def _refuse(spec: Endpoint, context: LoweringContext) -> None:
    """What Azure's online endpoints cannot do, each with the nearest that they can."""
    shadows = [key for key, variant in spec.variants.items() if variant.shadow is not False]
    for key, variant in spec.variants.items():
        weight = share(spec, variant)
        if is_deferred(variant.shadow) or not is_known(weight) or is_deferred(weight):
            raise context.error("azure.unknown_traffic", "traffic must be known at plan time", path=("variants", key, "traffic"))
        if variant.shadow is True and not 1 <= weight <= _MIRROR:
            raise context.error(
                "azure.shadow_share",
                f"Azure mirrors 1 to {_MIRROR} % of the requests, not {weight} %",
                path=("variants", key, "traffic" if variant.traffic is not None else "shadow"),
                hint=f"write traffic: {_MIRROR} beside shadow: true",
            )
    if len(shadows) > 1:
        raise context.error(
            "azure.one_shadow",
            f"Azure mirrors traffic to one deployment; {' and '.join(shadows)} are shadows",
            path=("variants", shadows[1], "shadow"),
            hint="try one after the other, or give one a small share of the traffic",
        )
    if spec.sticky is not None:
        raise context.error(
            "azure.no_sticky",
            "an online endpoint chooses a deployment for each request by itself: requests cannot be made sticky",
            path=("sticky",),
            hint="leave sticky out; a client can choose for itself by the header azureml-model-deployment",
        )
    if spec.port is not None:
        raise context.error("azure.no_port", "online endpoints answer on 443", path=("port",), hint="leave port out")
    if is_deferred(spec.replicas.min) or is_deferred(spec.replicas.max):
        raise context.error(
            "azure.unknown_replicas", "replicas must be known at plan time: they are priced by the plan", path=("replicas",)
        )
    if spec.replicas.min < 1:
        raise context.error(
            "azure.no_scale_to_zero",
            "a managed deployment keeps at least one instance",
            path=("replicas", "min"),
            hint="write min: 1, or serve the image with kind: azure.container_app, which scales to none",
        )


def _scales(spec: Endpoint) -> bool:
    return bool(spec.replicas.max > spec.replicas.min)
