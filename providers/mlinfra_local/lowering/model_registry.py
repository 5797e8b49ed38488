"""``model_registry`` on local: MLflow on SQLite."""

from __future__ import annotations

from mlinfra.kinds.model_registry import ModelRegistry
from mlinfra.model.values import Map, Ref
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.naming import physical_name


def lower(spec: ModelRegistry, context: LoweringContext) -> Lowered:
    """One ``local.registry``."""
    resource = context.resource(
        "local.registry",
        {
            "name": spec.name or physical_name("", "", context.named),
            "description": context.component.description or None,
            "ui": spec.ui,
            "port": spec.port,
        },
    )
    outputs = {"id": "name", "name": "name", "uri": "uri", "tracking_uri": "tracking_uri", "ui": "ui_url"}
    return Lowered(
        resources=(resource,),
        outputs=Map({output: Ref(context.address, (attribute,)) for output, attribute in outputs.items()}),
    )
