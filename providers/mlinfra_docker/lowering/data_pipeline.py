"""``data_pipeline`` on docker: every step a container, and Dagster's containers where there is a schedule or a web page."""

from __future__ import annotations

from mlinfra.kinds.data_pipeline import DataPipeline
from mlinfra.model.values import Ref
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.runs.lowering import pipeline, pipeline_outputs
from mlinfra_docker.lowering.surroundings import image_of, requirements_of
from mlinfra_docker.naming import named
from mlinfra_docker.settings import image


def lower(spec: DataPipeline, context: LoweringContext) -> Lowered:
    """``docker.pipeline``, and its ``docker.volume``."""
    volume = context.resource("docker.volume", {"Name": named(context, "runs"), "force_destroy": True}, role="runs")
    described = pipeline(spec, context)
    resource = context.resource(
        "docker.pipeline",
        {
            **described,
            "name": named(context),
            "volume": Ref(volume.address, ("Name",)),
            "image": image_of(spec.image, context),
            "requirements": requirements_of(described["requirements"], spec.image),
            "dagster": image(context.settings, "dagster") if spec.schedule is not None or spec.ui is not False else None,
        },
    )
    return Lowered(resources=(resource, volume), outputs=pipeline_outputs(spec, context))
