"""``data_pipeline`` on GCP: a pipeline of Vertex AI Pipelines, run when its fingerprint is new, and a schedule."""

from __future__ import annotations

from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.cron import SHORTHANDS
from mlinfra.kinds.data_pipeline import DataPipeline
from mlinfra.model.values import Map, Value
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.lowerings import given, own, text
from mlinfra.provider.runs.lowering import pipeline, pipeline_outputs
from mlinfra_gcp.lowering.common import image, labels, named, parent, place, run_bucket


def lower(spec: DataPipeline, context: LoweringContext) -> Lowered:
    """A ``gcp.pipeline_run``, the ``gcp.storage_bucket`` of its own that it leaves its results in, and a ``gcp.vertex_schedule``."""
    described = {k: v for k, v in pipeline(spec, context).items() if k not in ("schedule", "timezone", "ui")}
    account = context.settings.get("service_account")
    run = context.resource(
        "gcp.pipeline_run",
        {
            **described,
            "bucket": own(context, "name", role="bucket"),
            "parent": parent(context),
            "image": spec.image or image(context, "cpu"),
            **given(labels=labels(context), service_account=account),
        },
    )
    resources = [run_bucket(context), run]
    if spec.schedule is not None:
        job = Map(
            displayName=named(context),
            pipelineSpec=own(context, "spec"),
            runtimeConfig=Map(
                gcsOutputDirectory=text("gs://${bucket}/vertex", bucket=own(context, "name", role="bucket")),
                parameterValues=Map(run="scheduled"),
            ),
            **given(labels=labels(context), serviceAccount=account),
        )
        when: Value = spec.schedule if is_deferred(spec.schedule) else SHORTHANDS.get(spec.schedule, spec.schedule)
        resources.append(
            context.resource(
                "gcp.vertex_schedule",
                {
                    **place(context),
                    "displayName": named(context),
                    "cron": text("TZ=${zone} ${when}", zone=spec.timezone, when=when),
                    "maxConcurrentRunCount": 1,
                    "createPipelineJobRequest": Map(parent=parent(context), pipelineJob=job),
                },
                role="schedule",
            )
        )
    return Lowered(resources=tuple(resources), outputs=pipeline_outputs(spec, context))
