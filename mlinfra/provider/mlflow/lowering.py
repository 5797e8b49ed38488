"""``model`` to the native types of a target that keeps models in MLflow."""

from __future__ import annotations

from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.model import ModelVersion, RegisteredModel
from mlinfra.model.address import native
from mlinfra.model.resource import Resource
from mlinfra.model.values import Map, Ref, Value, lookup
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.models import aliased
from mlinfra.provider.naming import physical_name


def lower_model(spec: RegisteredModel, context: LoweringContext, *, target: str, scheme: str, no_images: str) -> Lowered:
    """``TARGET.model``, a ``TARGET.model_version`` for each version, one ``TARGET.model_aliases`` when there are aliases.

    ``scheme`` is that of the target's own places (``local://``); ``no_images`` says what to do in place of a version's image."""
    registry = lookup(spec.registry, ("id",))
    name = spec.name or physical_name("", "", context.named)
    model = context.resource(
        f"{target}.model",
        {"registry": registry, "name": name, "description": context.component.description, "tags": context.component.tags},
    )
    versions = {
        key: _version(key, version, registry, context, target, scheme, no_images) for key, version in spec.versions.items()
    }
    outputs = {
        key: Map({attribute: Ref(resource.address, (attribute,)) for attribute in ("uri", "digest", "number")})
        for key, resource in versions.items()
    }
    aliases = {alias: outputs[version] for alias, version in aliased(spec, context).items()}
    resources = [model, *versions.values()]
    if aliases:
        numbers = Map({alias: version["number"] for alias, version in aliases.items()})
        resources.append(
            context.resource(
                f"{target}.model_aliases",
                {"registry": registry, "model": Ref(context.address, ("name",)), "aliases": numbers},
                role="aliases",
            )
        )
    return Lowered(
        resources=tuple(resources),
        outputs=Map(
            {
                "id": Ref(context.address, ("name",)),
                "name": Ref(context.address, ("name",)),
                "versions": Map(outputs),
                "aliases": Map(aliases),
            }
        ),
    )


def _version(
    key: str, version: ModelVersion, registry: Value, context: LoweringContext, target: str, scheme: str, no_images: str
) -> Resource:
    artifact = version.artifact
    where = ("versions", key)
    if version.image is not None:
        raise context.error(
            f"lower.image_on_{target}",
            f"the {target} target registers MLflow model folders, not images",
            path=(*where, "image"),
            hint=no_images,
        )
    if artifact is None:
        raise context.error("lower.missing_artifact", f"version {key!r} has no artifact", path=where, hint="add 'artifact: …'")
    if is_deferred(artifact) or artifact.startswith(scheme):
        content = {"artifact": artifact}
    elif "://" in artifact or artifact.startswith(("models:/", "runs:/")):
        raise context.error(
            "lower.remote_artifact",
            f"the {target} target cannot read {artifact!r}",
            path=(*where, "artifact"),
            hint="give a folder of this machine, or the artifact of a training_job",
        )
    else:
        content = {"path": artifact, "content": context.digest(artifact).digest}
    return context.resource(
        f"{target}.model_version",
        {
            "registry": registry,
            "model": Ref(native(context.address), ("name",)),
            "version": key,
            **content,
            "description": version.description or "",
            "tags": Map(version.tags),
        },
        role="version",
        key=key,
    )
