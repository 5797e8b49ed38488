"""``data_pipeline`` on Azure: a component of Azure ML for each step, a pipeline job when the fingerprint is new, and a schedule."""

from __future__ import annotations

from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.cron import SHORTHANDS
from mlinfra.kinds.data_pipeline import DataPipeline
from mlinfra.model.resource import Resource
from mlinfra.model.values import Map
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.naming import digest_of
from mlinfra.provider.runs.lowering import pipeline, pipeline_outputs
from mlinfra_azure import jobs
from mlinfra_azure.lowering import environments
from mlinfra_azure.lowering.base import after_rights, compute, ref, work, workspace_of
from mlinfra_azure.lowering.common import image, named, own
from mlinfra_azure.lowering.timezones import WINDOWS


def lower(spec: DataPipeline, context: LoweringContext) -> Lowered:
    """``azure.ml_component`` and ``azure.ml_component_version`` for each step, an ``azure.pipeline_run``, an ``azure.ml_schedule``."""
    _refuse(spec, context)
    described = {k: v for k, v in pipeline(spec, context).items() if k not in ("schedule", "timezone", "ui")}
    chosen = spec.image or image(context, "cpu")
    resources: list[Resource] = [*compute(context), *environments.of_image(context, chosen)]
    for name, step in described["steps"].items():
        resources += _component(name, step, context)
    run = context.resource(
        "azure.pipeline_run",
        {
            **described,
            **work(context),
            "image": chosen,
            "compute": ref(context, "compute", "id"),
            "components": Map({name: own(context, "id", role="component_version", key=name) for name in described["steps"]}),
        },
        depends_on=after_rights(context),
    )
    resources.append(run)
    if spec.schedule is not None:
        resources.append(_schedule(spec, context))
    return Lowered(resources=tuple(resources), outputs=pipeline_outputs(spec, context))


def _component(name: str, step: Map, context: LoweringContext) -> list[Resource]:
    """One step: what it runs lies in the archive, so that its component changes with its inputs and its image alone."""
    found = jobs.component(name, step, environments.id_of(context))
    kept = context.resource(
        "azure.ml_component",
        {"name": named(context, name, limit=200), "parent": workspace_of(context)},
        role="component",
        key=name,
    )
    version = context.resource(
        "azure.ml_component_version",
        {
            "name": digest_of({k: str(v) if k == "environment" else v for k, v in found.items()}, 16),
            "parent": own(context, "id", role="component", key=name),
            "componentSpec": found,
        },
        role="component_version",
        key=name,
    )
    return [kept, version]


def _schedule(spec: DataPipeline, context: LoweringContext) -> Resource:
    when = spec.schedule if is_deferred(spec.schedule) else SHORTHANDS.get(str(spec.schedule), spec.schedule)
    return context.resource(
        "azure.ml_schedule",
        {
            "name": named(context, limit=200),
            "parent": workspace_of(context),
            "displayName": named(context),
            "isEnabled": True,
            "trigger": Map(triggerType="Cron", expression=when, timeZone=WINDOWS[spec.timezone]),
            "action": Map(actionType="CreateJob", jobDefinition=own(context, "definition")),
        },
        role="schedule",
    )


def _refuse(spec: DataPipeline, context: LoweringContext) -> None:
    """What a pipeline of Azure Machine Learning cannot do, each with the nearest that it can."""
    if spec.ui is not False:
        raise context.error(
            "azure.pipeline_page", "the studio shows pipelines; there is no page to be served", path=("ui",),
            hint="leave ui out; the output ui is the newest run in the studio",
        )  # fmt: skip
    if spec.schedule is not None and (is_deferred(spec.timezone) or spec.timezone not in WINDOWS):
        raise context.error(
            "azure.timezone",
            f"Azure ML's schedules know Windows's time zones, and none of them is {spec.timezone}",
            path=("timezone",),
            hint="write a large city of that zone (Europe/Berlin, America/New_York, …), or UTC",
        )
