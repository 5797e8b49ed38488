"""``training_job`` on docker: a container run to its end, or a Ray job, and the volume that keeps what it gave."""

from __future__ import annotations

from collections.abc import Mapping

from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.training_job import TrainingJob
from mlinfra.model.values import Map, Ref, Value
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.runs.lowering import job, job_outputs
from mlinfra_docker.lowering.surroundings import image_of, requirements_of
from mlinfra_docker.naming import named


def lower(spec: TrainingJob, context: LoweringContext) -> Lowered:
    """``docker.job``, and its ``docker.volume``."""
    name = spec.name or named(context)
    volume = context.resource("docker.volume", {"Name": named(context, "runs"), "force_destroy": True}, role="runs")
    described = job(spec, context)
    cluster = described.pop("cluster")
    hardware = _hardware(spec, context)
    resource = context.resource(
        "docker.job",
        {
            **described,
            "name": name,
            "volume": Ref(volume.address, ("Name",)),
            "image": image_of(spec.image, context, part="ray" if hardware.ray and spec.image is None else "python"),
            "requirements": requirements_of(described["requirements"], spec.image, plain=bool(hardware.ray)),
            "limits": hardware.limits,
            "ray": cluster if hardware.ray else None,
        },
    )
    return Lowered(resources=(resource, volume), outputs=job_outputs(context))


class _Hardware:
    """What the job's cluster adds: limits of a container, or the Ray cluster that it is a job of."""

    def __init__(self, limits: Map | None, ray: bool) -> None:
        self.limits = limits
        self.ray = ray


def _hardware(spec: TrainingJob, context: LoweringContext) -> _Hardware:
    cluster: Value = spec.cluster
    if cluster is None:
        return _Hardware(None, False)
    if not isinstance(cluster, Mapping) or is_deferred(cluster.get("engine")):
        raise context.error("lower.unknown_engine", "the engine of the cluster must be known at plan time", path=("cluster",))
    if cluster["engine"] == "ray":
        return _Hardware(None, True)
    asked = {"cpus": cluster.get("cpus"), "memory": cluster.get("memory"), "gpus": cluster.get("accelerators")}
    return _Hardware(Map({k: v for k, v in asked.items() if v is not None}), False)
