"""``endpoint`` on local: one serving process."""

from __future__ import annotations

from collections.abc import Mapping

from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.endpoint import Endpoint, Variant
from mlinfra.model.values import Map, Ref, Value
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.hardware.lowering import refuse_instance_type
from mlinfra.provider.naming import physical_name
from mlinfra.provider.runs.lowering import share


def lower(spec: Endpoint, context: LoweringContext) -> Lowered:
    """One ``local.endpoint``."""
    refuse_instance_type(spec.resources, context)
    variants = {
        name: Map(
            {
                "model": _model(name, variant, context),
                "traffic": share(spec, variant),
                "shadow": variant.shadow,
            }
        )
        for name, variant in spec.variants.items()
    }
    resource = context.resource(
        "local.endpoint",
        {
            "name": spec.name or physical_name("", "", context.named),
            "variants": Map(variants),
            "sticky": spec.sticky.header if spec.sticky else "",
            "health": Map(path=spec.health.path, timeout=spec.health.timeout),
            "replicas": _given(
                min=spec.replicas.min,
                max=spec.replicas.max,
                concurrency=spec.replicas.target.concurrency if spec.replicas.target else None,
            ),
            "resources": _given(cpus=spec.resources.cpus, memory=spec.resources.memory, accelerators=spec.resources.accelerators),
            "port": spec.port,
            "env": Map(spec.env) if spec.env else None,
        },
    )
    return Lowered(
        resources=(resource,),
        outputs=Map({output: Ref(context.address, (attribute,)) for output, attribute in _OUTPUTS.items()}),
    )


_OUTPUTS = {"id": "name", "name": "name", "url": "url"}


def _given(**values: Value) -> Map:
    return Map({name: value for name, value in values.items() if value is not None})


def _model(name: str, variant: Variant, context: LoweringContext) -> Map:
    """``{uri, digest}``: the digest is what makes new content under the same place roll the endpoint."""
    model = variant.model
    if variant.image is not None:
        raise context.error(
            "lower.image_on_local",
            "the local target serves MLflow model folders, not images",
            path=("variants", name, "image"),
            hint="give the variant a 'model', or use target docker",
        )
    if isinstance(model, Mapping):
        return Map({key: model[key] for key in ("uri", "digest") if key in model})
    if is_deferred(model) or model.startswith("local://"):
        return Map({"uri": model})
    if "://" in model or model.startswith(("models:/", "runs:/")):
        raise context.error(
            "lower.remote_model",
            f"the local target cannot read {model!r}",
            path=("variants", name, "model"),
            hint="refer to a model's version, like ${router.versions.v1}, or give a folder of this machine",
        )
    return Map({"uri": model, "digest": context.digest(model).digest})
