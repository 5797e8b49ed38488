"""``model`` on AWS: a SageMaker model package group, an artifact and a model package for each version.

Aliases are metadata of the packages (``alias.champion: v1``): SageMaker knows none, and metadata changes in place.
"""

from __future__ import annotations

from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.model import ModelVersion, RegisteredModel
from mlinfra.model.resource import Resource
from mlinfra.model.values import Map, Value, lookup
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.models import aliased
from mlinfra_aws.images import image
from mlinfra_aws.lowering.common import given, named, own, region_of


def lower(spec: RegisteredModel, context: LoweringContext) -> Lowered:
    """``aws.sagemaker_model_package_group``; ``aws.model_artifact`` and ``aws.sagemaker_model_package`` for each version."""
    name = spec.name or named(context)
    group = context.resource(
        "aws.sagemaker_model_package_group",
        given(ModelPackageGroupName=name, ModelPackageGroupDescription=context.component.description or None),
    )
    aliases = aliased(spec, context)
    resources: list[Resource] = [group]
    versions: dict[str, Value] = {}
    before: tuple[str, ...] = ()  # one after the other, so that SageMaker's numbers are in the order of the spec
    for key, version in spec.versions.items():
        made = _version(key, version, spec, context, [a for a, v in aliases.items() if v == key], before)
        before = (made[-1].address,)
        resources += made
        has_artifact = version.image is None
        versions[key] = Map(
            uri=own(context, "uri", role="artifact", key=key) if has_artifact else version.image,
            digest=own(context, "digest", role="artifact", key=key) if has_artifact else version.image,
            number=own(context, "ModelPackageArn", role="version", key=key),
        )
    id = own(context, "ModelPackageGroupName")
    found = Map({alias: versions[version] for alias, version in aliases.items()})
    return Lowered(resources=tuple(resources), outputs=Map(id=id, name=id, versions=Map(versions), aliases=found))


def _version(
    key: str, version: ModelVersion, spec: RegisteredModel, context: LoweringContext, aliases: list[str], before: tuple[str, ...]
) -> list[Resource]:
    where = ("versions", key)
    if (version.artifact is None) == (version.image is None):
        message = f"version {key!r} needs an artifact, or an image with its own server"
        raise context.error("aws.version_source", message, path=where)
    resources: list[Resource] = []
    container: dict[str, Value] = {"Image": version.image}
    if version.artifact is not None:
        resources.append(_artifact(key, version, spec, context))
        container = {
            "Image": image(context, "serving", region_of(context)),
            "ModelDataUrl": own(context, "archive", role="artifact", key=key),
        }
    metadata = {**version.tags, "version": key, **{f"alias.{a}": key for a in aliases}}
    package = context.resource(
        "aws.sagemaker_model_package",
        given(
            ModelPackageGroupName=own(context, "ModelPackageGroupName"),
            ModelPackageDescription=version.description,
            ModelApprovalStatus="Approved",
            InferenceSpecification=Map(
                Containers=(Map(container),),
                SupportedContentTypes=("application/json", "text/csv"),
                SupportedResponseMIMETypes=("application/json",),
            ),
            CustomerMetadataProperties=Map(metadata),
        ),
        role="version",
        key=key,
        depends_on=before,
    )
    return [*resources, package]


def _artifact(key: str, version: ModelVersion, spec: RegisteredModel, context: LoweringContext) -> Resource:
    artifact = version.artifact
    path = ("versions", key, "artifact")
    if is_deferred(artifact):
        source: dict[str, Value] = {"artifact": artifact}
    else:
        assert isinstance(artifact, str)
        if artifact.startswith("s3://"):
            source = {"artifact": artifact}
        elif "://" in artifact or artifact.startswith(("models:/", "runs:/")):
            message = f"aws cannot read {artifact!r}"
            raise context.error(
                "aws.remote_artifact",
                message,
                path=path,
                hint="give a folder of this machine, s3://…, or the artifact of a training_job",
            )
        else:
            source = {"path": artifact, "content": context.digest(artifact).digest}
    return context.resource(
        "aws.model_artifact",
        {"bucket": lookup(spec.registry, ("name",)), "model": named(context), "version": key, **source},
        role="artifact",
        key=key,
    )
