"""``data_pipeline`` on local: steps run by Dagster on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlinfra.kinds.data_pipeline import DataPipeline, Step
from mlinfra.kinds.dataset import local_source
from mlinfra.model.values import Map, Ref, Value
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.naming import physical_name


def lower(spec: DataPipeline, context: LoweringContext) -> Lowered:
    """One ``local.pipeline``, named after its address."""
    if spec.image is not None:
        raise context.error(
            "lower.unsupported",
            "the local target runs steps as processes, and knows no images",
            path=("image",),
            hint="use requirements, or target docker",
        )
    code = str(spec.code)
    resource = context.resource(
        "local.pipeline",
        {
            "name": physical_name("", "", context.named),
            "code": {"path": code, "digest": context.digest(code, "code").digest},
            "steps": {name: _step(step, spec, context) for name, step in spec.steps.items()},
            "requirements": _requirements(spec, context),
            "schedule": spec.schedule,
            "timezone": spec.timezone if spec.schedule is not None else None,
            "run_on_apply": spec.run_on_apply,
            "ui": spec.ui,
        },
    )
    written = [output for step in spec.steps.values() for output in step.outputs]
    return Lowered(
        resources=(resource,),
        outputs=Map(
            {
                "id": Ref(context.address, ("name",)),
                "outputs": Map({output: Ref(context.address, ("outputs", output)) for output in written}),
                "metrics": Ref(context.address, ("metrics",)),
                "ui": Ref(context.address, ("url",)),
                "fingerprint": Ref(context.address, ("fingerprint",)),
            }
        ),
    )


def _step(step: Step, spec: DataPipeline, context: LoweringContext) -> dict[str, Value]:
    taken = step.taken(spec.steps)
    whole: dict[str, Any] = {
        "command": step.run,
        "needs": step.upstream(spec.steps),
        "takes": {name: f"{source}.{output}" for name, (source, output) in taken.items()},
        "inputs": {name: _input(value, context) for name, value in step.inputs.items() if name not in taken},
        "outputs": step.outputs,
        "env": {**spec.env, **step.env},
        "params": step.params,
        "expect": step.expect,
        "timeout": step.timeout,
        "retries": step.retries,
    }
    return {name: value for name, value in whole.items() if value not in (None, (), {}, 0)}


def _input(value: Any, context: LoweringContext) -> Value:
    """A URI that names its content, or a Map of ``uri`` and ``version``."""
    if isinstance(value, Mapping):
        return Map({k: v for k, v in (("uri", value["uri"]), ("version", value.get("version"))) if v is not None})
    path = local_source(value)
    return value if path is None else Map(uri=path, version=context.digest(path).digest)


def _requirements(spec: DataPipeline, context: LoweringContext) -> Value:
    """A tuple of lines, or the file that holds them with its digest."""
    if isinstance(spec.requirements, str):
        return Map(path=spec.requirements, digest=context.digest(spec.requirements).digest)
    return spec.requirements
