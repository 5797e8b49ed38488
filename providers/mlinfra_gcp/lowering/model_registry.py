"""``model_registry`` on GCP: Vertex AI's Model Registry, which every project has, and a bucket for artifacts of this machine."""

from __future__ import annotations

from mlinfra.kinds.model_registry import ModelRegistry
from mlinfra.model.values import Map
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.lowerings import given, own
from mlinfra_gcp.lowering.common import PRIVATE, bucket_name, labels, parent, project, region


def lower(spec: ModelRegistry, context: LoweringContext) -> Lowered:
    """One ``gcp.storage_bucket``. ``id`` is the location that models are uploaded to."""
    if spec.port is not None:
        raise context.error(
            "gcp.registry_port",
            "Vertex AI's Model Registry has its page in the console, and no port of its own",
            path=("port",),
            hint="leave port out; the output ui is the console's address",
        )
    bucket = context.resource(
        "gcp.storage_bucket",
        {
            "project": project(context),
            "name": spec.name or bucket_name(context),
            "location": region(context).upper(),
            "iamConfiguration": PRIVATE,
            "forceDestroy": True,
            **given(labels=labels(context)),
        },
    )
    ui = f"https://console.cloud.google.com/vertex-ai/models?project={project(context)}"
    return Lowered(
        resources=(bucket,),
        outputs=Map(id=parent(context), name=own(context, "name"), uri=own(context, "uri"), tracking_uri="", ui=ui),
    )
