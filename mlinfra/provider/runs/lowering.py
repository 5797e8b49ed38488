"""Attributes of native resources that several targets' lowerings have in common: jobs, pipelines, shares of traffic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlinfra.kinds.data_pipeline import DataPipeline, Step
from mlinfra.kinds.dataset import local_source
from mlinfra.kinds.endpoint import Endpoint, Variant
from mlinfra.kinds.training_job import TrainingJob
from mlinfra.model.values import Map, Ref, Value, freeze, lookup
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.naming import physical_name


def job(spec: TrainingJob, context: LoweringContext) -> dict[str, Value]:
    """What describes a run of training code, as :func:`mlinfra.provider.runs.fingerprints.of_job` reads it."""
    return {
        "name": spec.name or physical_name("", "", context.named),
        "cluster": None if spec.cluster is None else lookup(spec.cluster, ("name",)),
        "code": digested(spec.code, "code", context),
        "run": spec.run,
        "params": freeze(spec.params),
        "env": freeze(spec.env),
        "inputs": Map({name: _job_input(value, context) for name, value in spec.inputs.items()}),
        "outputs": spec.writes,
        "expect": freeze(spec.expect),
        "requirements": (
            digested(spec.requirements, "data", context) if isinstance(spec.requirements, str) else spec.requirements
        ),
        "processes": spec.processes,
        "timeout": spec.timeout,
        "run_on_apply": spec.run_on_apply,
    }


def job_outputs(context: LoweringContext) -> Map:
    """The outputs of a training job whose resource has an attribute for each, and ``results``."""
    names = ("id", "name", "artifact", "artifact_digest", "metrics", "fingerprint")
    return Map({**{name: Ref(context.address, (name,)) for name in names}, "outputs": Ref(context.address, ("results",))})


def ray_job(spec: TrainingJob, context: LoweringContext, *, type: str, name: Value, where: Mapping[str, Value]) -> Lowered:
    """A job of a Ray cluster in a cloud (see :class:`mlinfra.provider.runs.ray_job.RayRun`), which the target calls ``type``. ``where`` has
    ``bucket`` and ``dashboard``. The job is one driver on the cluster's own Python: images and ranks are for other engines."""
    if spec.processes not in (None, 1):
        raise context.error(
            "ray.one_driver",
            "a Ray job is one driver, which spreads its work over the cluster itself",
            path=("processes",),
            hint="leave processes out and use ray.init() or Ray Train, or give the cluster engine: managed",
        )
    if spec.image is not None:
        raise context.error(
            "ray.no_image",
            "a Ray job runs on the cluster's own Python, in no container",
            path=("image",),
            hint="requirements: […] installs what it needs, or give the cluster engine: managed",
        )
    described = {key: value for key, value in job(spec, context).items() if key != "processes"}
    run = context.resource(type, {**described, **where, "name": name})
    return Lowered(resources=(run,), outputs=job_outputs(context))


def pipeline(spec: DataPipeline, context: LoweringContext) -> dict[str, Value]:
    """What describes a pipeline, as :mod:`mlinfra.provider.runs.pipelines` reads it."""
    code = str(spec.code)
    return {
        "name": physical_name("", "", context.named),
        "code": {"path": code, "digest": context.digest(code, "code").digest},
        "steps": {name: _step(step, spec, context) for name, step in spec.steps.items()},
        "requirements": (
            digested(spec.requirements, "data", context) if isinstance(spec.requirements, str) else spec.requirements
        ),
        "schedule": spec.schedule,
        "timezone": spec.timezone if spec.schedule is not None else None,
        "run_on_apply": spec.run_on_apply,
        "ui": spec.ui,
    }


def pipeline_outputs(spec: DataPipeline, context: LoweringContext) -> Map:
    """The outputs of a pipeline whose resource has ``name``, ``outputs``, ``metrics``, ``url`` and ``fingerprint``."""
    written = [output for step in spec.steps.values() for output in step.outputs]
    return Map(
        {
            "id": Ref(context.address, ("name",)),
            "outputs": Map({output: Ref(context.address, ("outputs", output)) for output in written}),
            "metrics": Ref(context.address, ("metrics",)),
            "ui": Ref(context.address, ("url",)),
            "fingerprint": Ref(context.address, ("fingerprint",)),
        }
    )


def share(spec: Endpoint, variant: Variant) -> Value:
    """A variant's weight, or a shadow's percentage: 100 where nothing else can be meant."""
    if variant.traffic is not None:
        return variant.traffic
    return 100 if variant.shadow is True or len(spec.variants) == 1 else 0


def digested(path: str, mode: str, context: LoweringContext) -> Map:
    """A local path with the digest of what lies there at plan time."""
    return Map({"path": path, "digest": context.digest(path, mode).digest})


def _job_input(value: Value, context: LoweringContext) -> Value:
    """A URI as it is, a local path with its digest."""
    if isinstance(value, Mapping):
        return value["uri"]
    path = local_source(value)
    return value if path is None else digested(path, "data", context)


def _step(step: Step, spec: DataPipeline, context: LoweringContext) -> dict[str, Value]:
    taken = step.taken(spec.steps)
    whole: dict[str, Any] = {
        "command": step.run,
        "needs": step.upstream(spec.steps),
        "takes": {name: f"{source}.{output}" for name, (source, output) in taken.items()},
        "inputs": {name: _step_input(value, context) for name, value in step.inputs.items() if name not in taken},
        "outputs": step.outputs,
        "env": {**spec.env, **step.env},
        "params": step.params,
        "expect": step.expect,
        "timeout": step.timeout,
        "retries": step.retries,
    }
    return {name: value for name, value in whole.items() if value not in (None, (), {}, 0)}


def _step_input(value: Any, context: LoweringContext) -> Value:
    """A URI that names its content, or a Map of ``uri`` and ``version``."""
    if isinstance(value, Mapping):
        return Map({k: v for k, v in (("uri", value["uri"]), ("version", value.get("version"))) if v is not None})
    path = local_source(value)
    return value if path is None else Map(uri=path, version=context.digest(path).digest)
