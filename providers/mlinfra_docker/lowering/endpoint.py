"""``endpoint`` on docker: a container a variant, and a proxy in front."""

from __future__ import annotations

from collections.abc import Mapping

from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.endpoint import Endpoint, Variant
from mlinfra.model.values import Map, Ref, Value
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.hardware.lowering import refuse_instance_type
from mlinfra.provider.runs.lowering import share
from mlinfra_docker.naming import named
from mlinfra_docker.settings import image


def lower(spec: Endpoint, context: LoweringContext) -> Lowered:
    """One ``docker.endpoint``."""
    refuse_instance_type(spec.resources, context)
    variants = {
        name: Map({**_source(name, variant, context), "traffic": share(spec, variant), "shadow": variant.shadow})
        for name, variant in spec.variants.items()
    }
    resource = context.resource(
        "docker.endpoint",
        {
            "name": spec.name or named(context),
            "image": image(context.settings, "python"),
            "proxy": image(context.settings, "haproxy"),
            "variants": Map(variants),
            "sticky": spec.sticky.header if spec.sticky else None,
            "health": Map(path=spec.health.path, timeout=spec.health.timeout),
            "replicas": Map(min=spec.replicas.min, max=spec.replicas.max),
            "resources": _given(cpus=spec.resources.cpus, memory=spec.resources.memory, accelerators=spec.resources.accelerators),
            "port": spec.port,
            "env": Map(spec.env) if spec.env else None,
        },
    )
    outputs = {"id": "name", "name": "name", "url": "url"}
    return Lowered(
        resources=(resource,), outputs=Map({output: Ref(context.address, (attribute,)) for output, attribute in outputs.items()})
    )


def _given(**values: Value) -> Map:
    return Map({name: value for name, value in values.items() if value is not None})


def _source(name: str, variant: Variant, context: LoweringContext) -> Map:
    """``{model: {uri, digest}}`` or ``{image}``. The digest is what makes new content under the same place roll the endpoint."""
    if variant.image is not None:
        return Map(image=variant.image)
    model = variant.model
    if isinstance(model, Mapping):
        return Map(model=Map({key: model[key] for key in ("uri", "digest") if key in model}))
    if is_deferred(model) or model.startswith("docker://"):
        return Map(model=Map(uri=model))
    if "://" in model or model.startswith(("models:/", "runs:/")):
        raise context.error(
            "lower.remote_model",
            f"the docker target cannot read {model!r}",
            path=("variants", name, "model"),
            hint="refer to a model's version, like ${router.versions.v1}, or give a folder of this machine",
        )
    return Map(model=Map(uri=model, digest=context.digest(model).digest))
