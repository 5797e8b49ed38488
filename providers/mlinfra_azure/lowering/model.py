"""``model`` on Azure: a model of a registry, a version for each version, aliases as their tags."""

from __future__ import annotations

from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.model import ModelVersion, RegisteredModel
from mlinfra.model.resource import Resource
from mlinfra.model.values import Expr, Map, Value, lookup
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.models import aliased
from mlinfra_azure.lowering.common import given, named, own, text

OWN_SERVER = "docker://"
"""Stands before the image in the ``uri`` of a version that brings its own server."""


def lower(spec: RegisteredModel, context: LoweringContext) -> Lowered:
    """An ``azure.ml_model``, and for each version an ``azure.registered_version``, which brings its files into the registry. Azure has no
    aliases: a version has a tag for each of its own."""
    names = aliased(spec, context)
    model = context.resource(
        "azure.ml_model",
        {
            "name": spec.name or named(context, limit=200),
            "parent": lookup(spec.registry, ("id",)),
            **given(description=context.component.description or None),
        },
    )
    resources: list[Resource] = [model]
    outputs: dict[str, Map] = {}
    for key, version in spec.versions.items():
        mine = tuple(alias for alias, named_version in names.items() if named_version == key)
        resources.append(_version(key, version, mine, context))
        number = own(context, "version", role="version", key=key)
        uri = text(
            "azureml://registries/${registry}/models/${model}/versions/${version}",
            registry=lookup(spec.registry, ("name",)), model=own(context, "name"), version=number,
        )  # fmt: skip
        if version.image is not None:
            uri = _served(version.image)
        outputs[key] = Map(uri=uri, digest=own(context, "digest", role="version", key=key), number=number)
    found = Map({alias: outputs[version] for alias, version in names.items()})
    return Lowered(
        resources=tuple(resources),
        outputs=Map(id=own(context, "id"), name=own(context, "name"), versions=Map(outputs), aliases=found),
    )


def _version(key: str, version: ModelVersion, aliases: tuple[str, ...], context: LoweringContext) -> Resource:
    tags = {str(k): v for k, v in version.tags.items()} | {f"alias.{alias}": "true" for alias in aliases}
    return context.resource(
        "azure.registered_version",
        {
            "model": own(context, "id"),
            "key": key,
            **_source(key, version, context),
            **given(description=version.description, tags=Map(tags) if tags else None),
        },
        role="version",
        key=key,
    )


def _source(key: str, version: ModelVersion, context: LoweringContext) -> dict[str, Value]:
    """Where the version's files come from: a folder of this machine, a URI, or an image, which is noted down."""
    path = ("versions", key)
    if version.image is not None:
        return {"image": version.image}
    artifact = version.artifact
    if artifact is None:
        raise context.error("azure.missing_artifact", f"version {key!r} has no artifact", path=path, hint="add 'artifact: …'")
    if is_deferred(artifact) or artifact.startswith("https://"):
        return {"copy_of": artifact}
    if "://" in artifact or artifact.startswith(("models:/", "runs:/")):
        raise context.error(
            "azure.remote_artifact",
            f"Azure Machine Learning cannot read {artifact!r}",
            path=(*path, "artifact"),
            hint="give a folder of this machine, https://ACCOUNT.blob.core.windows.net/…, or the artifact of a training_job",
        )
    return {"source": Map(path=artifact, digest=context.digest(artifact).digest)}


def _served(image: Value) -> Value:
    return text(f"{OWN_SERVER}${{image}}", image=image)


def image_of(uri: Value) -> Value:
    """The image of a version that brings its own server; None for one that is a folder of files."""
    if isinstance(uri, str) and uri.startswith(OWN_SERVER):
        return uri.removeprefix(OWN_SERVER)
    if isinstance(uri, Expr) and uri.source == f"{OWN_SERVER}${{image}}":
        return uri.bindings[0][1]
    return None
