"""``model`` on GCP: a version of Vertex AI's Model Registry for each version, all under one parent, and their aliases."""

from __future__ import annotations

from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.model import ModelVersion, RegisteredModel
from mlinfra.model.resource import Resource
from mlinfra.model.values import Map, Value, is_known, lookup
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.lowerings import given, own
from mlinfra.provider.models import aliased
from mlinfra.provider.naming import physical_name
from mlinfra_gcp.lowering.common import image, labels, parent, place
from mlinfra_gcp.marks import label_key, label_value

SERVE = (
    "python -m pip install --quiet mlflow google-cloud-storage && "
    "mlflow artifacts download -u $AIP_STORAGE_URI -d /tmp && m=/tmp/$(basename $AIP_STORAGE_URI) && "
    "if [ -f $m/requirements.txt ]; then python -m pip install --quiet -r $m/requirements.txt; fi && "
    "exec mlflow models serve -m $m -h 0.0.0.0 -p 8080 --env-manager local"
)
"""MLflow's own scoring server. AIP_STORAGE_URI is where Vertex AI keeps its copy of the artifact:
https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements"""


def lower(spec: RegisteredModel, context: LoweringContext) -> Lowered:
    """A ``gcp.vertex_model`` for each version (and a ``gcp.dataset`` where its artifact lies on this machine), one
    ``gcp.vertex_model_aliases`` where there are aliases. The first version is the component's main resource."""
    if not spec.versions:
        raise context.error(
            "gcp.model_without_versions",
            "Vertex AI knows no model without a version",
            path=("versions",),
            hint="add its first version, or set enabled: false until there is one",
        )
    name = str(spec.name or physical_name(context.project, context.environment, context.named, limit=63))
    aliases = aliased(spec, context)
    resources: list[Resource] = []
    outputs: dict[str, Map] = {}
    main = next(iter(spec.versions))
    for key, version in spec.versions.items():
        role, at = ("", None) if key == main else ("version", key)
        resources += version_resources(
            context, version, name=name, role=role, key=at, path=("versions", key), bucket=lookup(spec.registry, ("name",)), tag=key,
            after=() if key == main else (context.address,),
        )  # fmt: skip
        outputs[key] = Map({n: own(context, n, role=role, key=at) for n in ("uri", "digest", "number")})
    model = f"{parent(context)}/models/{name}"
    if aliases:
        numbers = Map({alias: outputs[version]["number"] for alias, version in aliases.items()})
        resources.append(
            context.resource(
                "gcp.vertex_model_aliases", {"model": model, "aliases": numbers}, role="aliases", depends_on=(context.address,)
            )
        )
    found = Map({alias: outputs[version] for alias, version in aliases.items()})
    return Lowered(
        resources=tuple(resources), outputs=Map(id=model, name=own(context, "name"), versions=Map(outputs), aliases=found)
    )


def version_resources(
    context: LoweringContext,
    version: ModelVersion,
    *,
    name: str,
    role: str,
    key: str | None,
    path: tuple[str, ...],
    bucket: Value,
    tag: str,
    after: tuple[str, ...] = (),
    env: Value = None,
) -> list[Resource]:
    """The version, after what uploads its artifact where that lies on this machine."""
    resources: list[Resource] = []
    content: dict[str, Value] = {}
    if version.image is not None:
        container: dict[str, Value] = {"imageUri": version.image}
    else:
        container = {"imageUri": image(context, "serving"), "command": ("/bin/sh", "-c", SERVE)}
        artifact = version.artifact
        if artifact is None:
            raise context.error("gcp.missing_artifact", f"version {tag!r} has no artifact", path=path, hint="add 'artifact: …'")
        if is_deferred(artifact) or artifact.startswith("gs://"):
            content = {"artifactUri": artifact}
        elif "://" in artifact or artifact.startswith(("models:/", "runs:/")):
            raise context.error(
                "gcp.remote_artifact",
                f"Vertex AI cannot read {artifact!r}",
                path=(*path, "artifact"),
                hint="give a folder of this machine, gs://…, or the artifact of a training_job",
            )
        else:
            found = context.digest(artifact)
            kept = context.resource(
                "gcp.dataset",
                {
                    "bucket": bucket,
                    "name": f"{name}-{tag}",
                    "source": artifact,
                    "version": found.digest,
                    "size": found.size,
                    "file": "",
                },
                role="artifact",
                key=tag,
            )
            resources.append(kept)
            content = {"artifactUri": own(context, "uri", role="artifact", key=tag), "digest": found.digest}
    container |= {"healthRoute": "/ping", "invokeRoutePrefix": "/*", "ports": (Map(containerPort=8080),), **given(env=env)}
    tags = {label_key(str(k)): label_value(str(v)) for k, v in version.tags.items() if is_known(v)}
    resources.append(
        context.resource(
            "gcp.vertex_model",
            {
                **place(context),
                "name": name,
                "displayName": name,
                **given(description=context.component.description or None, versionDescription=version.description),
                **content,
                "containerSpec": Map(container),
                "labels": labels(context, **tags, version=label_value(tag)),
            },
            role=role,
            key=key,
            depends_on=after,
        )
    )
    return resources
