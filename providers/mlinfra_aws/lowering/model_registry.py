"""``model_registry`` on AWS: a bucket for artifacts; SageMaker's model package groups come with the models."""

from __future__ import annotations

from mlinfra.kinds.model_registry import ModelRegistry
from mlinfra.model.values import Map
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra_aws.lowering.common import bucket, named, own, text


def lower(spec: ModelRegistry, context: LoweringContext) -> Lowered:
    """One ``aws.s3_bucket``. SageMaker's registry has a page of its own in Studio, and no server to run."""
    if spec.ui or spec.port is not None:
        raise context.error(
            "aws.registry_page",
            "SageMaker's registry is shown by SageMaker Studio; there is no page to be served",
            path=("ui",) if spec.ui else ("port",),
            hint="leave it out, or run MLflow: kind aws.sagemaker_mlflow_tracking_server",
        )
    resource = bucket(context, spec.name or named(context), versioning=True)
    name = own(context, "BucketName")
    uri = text("s3://${name}", name=name)
    return Lowered(resources=(resource,), outputs=Map(id=name, name=name, uri=uri, tracking_uri=None, ui=None))
