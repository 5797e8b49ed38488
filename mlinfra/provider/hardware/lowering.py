"""What lowerings ask of the catalogue: the machine for a component's ``resources``, or an error at their place in the spec."""

from __future__ import annotations

from collections.abc import Sequence

from mlinfra.kinds import endpoint, training_cluster
from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.training_cluster import parse_memory_range
from mlinfra.kinds.units import parse_accelerators
from mlinfra.model.dataclass import replace
from mlinfra.model.values import Path
from mlinfra.provider.contract import LoweringContext
from mlinfra.provider.hardware.choice import Choice, Needs, NothingFits, choose
from mlinfra.provider.hardware.offers import Offer

Resources = training_cluster.Resources | endpoint.Resources


def needs_of(resources: training_cluster.Resources | endpoint.Resources, use: str) -> Needs:
    """What a kind's ``resources`` ask for. What is not known yet is passed over by the caller; here every leaf must be known."""
    accelerator, count = "", 0
    memory_range = None
    if resources.accelerators is not None:
        wanted = parse_accelerators(resources.accelerators)
        accelerator, count = wanted.name, wanted.count
    gpu = getattr(resources, "gpu", None)
    if gpu is not None:
        count = gpu.count
        memory_range = parse_memory_range(gpu.memory) if gpu.memory is not None else (0, None)
    return Needs(
        accelerator=accelerator, count=count, accelerator_memory=memory_range, cpus=resources.cpus or 0.0,
        memory=resources.memory or 0, spot=bool(getattr(resources, "spot", False)), use=use,
        type=getattr(resources, "instance_type", None) or "",
    )  # fmt: skip


def chosen(
    resources: Resources,
    context: LoweringContext,
    *,
    offers: Sequence[Offer],
    use: str,
    region: str,
    path: Path = ("resources",),
    least: Needs | None = None,
) -> Choice:
    """The cheapest offer of ``region`` for ``use`` that has what ``resources`` (at ``path``) ask for. ``least`` is taken for CPUs and memory that
    they leave open; whoever asks for accelerators or a type gets what comes with it."""
    refuse_unknown(resources, context, path)
    needs = needs_of(resources, use)
    if least is not None and not needs.count and not needs.type:
        needs = replace(needs, cpus=needs.cpus or least.cpus, memory=needs.memory or least.memory)
    try:
        return choose(offers, needs, region, target=context.provider)
    except NothingFits as error:
        raise context.error("hardware.nothing_fits", error.message, path=(*path, *error.path), hint=error.hint) from None


def refuse_unknown(resources: Resources, context: LoweringContext, path: Path = ("resources",)) -> None:
    """LoweringError for a leaf that is known only after apply: hardware is chosen, and priced, by the plan."""
    for name in type(resources).model_fields:
        value = getattr(resources, name)
        if is_deferred(value) or (
            name == "gpu" and value is not None and (is_deferred(value.memory) or is_deferred(value.count))
        ):
            message = f"{name} must be known at plan time: hardware is chosen by it"
            raise context.error("hardware.unknown", message, path=(*path, name))


def refuse_instance_type(resources: Resources, context: LoweringContext, path: Path = ("resources",)) -> None:
    """LoweringError where ``instance_type`` is given on a target that has no types of machines to choose from."""
    if resources.instance_type is not None:
        raise context.error(
            "hardware.no_instance_types",
            f"{context.provider} has no instance types",
            path=(*path, "instance_type"),
            hint="say what a node must have instead: cpus, memory, accelerators",
        )
