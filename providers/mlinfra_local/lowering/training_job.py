"""``training_job`` on local: a process (or several) of this host, or a Ray job."""

from __future__ import annotations

from collections.abc import Mapping

from mlinfra.kinds.dataset import local_source
from mlinfra.kinds.training_job import TrainingJob
from mlinfra.model.values import Map, Ref, Value, freeze, lookup
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.naming import physical_name


def lower(spec: TrainingJob, context: LoweringContext) -> Lowered:
    """One ``local.job``."""
    if spec.image is not None:
        raise context.error(
            "local.job_image",
            "the local target runs no images",
            path=("image",),
            hint="name the packages by `requirements:`, or use `target: docker`",
        )
    resource = context.resource(
        "local.job",
        {
            "name": spec.name or physical_name("", "", context.named),
            "cluster": None if spec.cluster is None else lookup(spec.cluster, ("name",)),
            "code": _digested(spec.code, "code", context),
            "run": spec.run,
            "params": freeze(spec.params),
            "env": freeze(spec.env),
            "inputs": Map({name: _input(value, context) for name, value in spec.inputs.items()}),
            "outputs": spec.writes,
            "expect": freeze(spec.expect),
            "requirements": _requirements(spec, context),
            "processes": spec.processes,
            "timeout": spec.timeout,
            "run_on_apply": spec.run_on_apply,
        },
    )
    own = {
        name: Ref(context.address, (name,)) for name in ("id", "name", "artifact", "artifact_digest", "metrics", "fingerprint")
    }
    return Lowered(resources=(resource,), outputs=Map({**own, "outputs": Ref(context.address, ("results",))}))


def _input(value: Value, context: LoweringContext) -> Value:
    """A URI as it is, a local path with its digest."""
    if isinstance(value, Mapping):
        return value["uri"]
    path = local_source(value)
    return value if path is None else _digested(path, "data", context)


def _requirements(spec: TrainingJob, context: LoweringContext) -> Value:
    return _digested(spec.requirements, "data", context) if isinstance(spec.requirements, str) else spec.requirements


def _digested(path: str, mode: str, context: LoweringContext) -> Map:
    return Map({"path": path, "digest": context.digest(path, mode).digest})
