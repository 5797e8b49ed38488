"""The images that work on Azure runs in, as environments of the ML workspace: a job's, and the one that serves models."""

from __future__ import annotations

from mlinfra.model.resource import Resource
from mlinfra.model.values import EMPTY, Expr, Map, Ref, Value
from mlinfra.provider.contract import LoweringContext
from mlinfra.provider.naming import digest_of
from mlinfra_azure.lowering.base import content, ref, workspace_of
from mlinfra_azure.lowering.common import image, named, own

PORT = 8080
_DOCKERFILE = """FROM @BASE@
RUN pip install --no-cache-dir 'mlflow>=2.17,<4'
EXPOSE 8080
CMD m=$(dirname "$(find "$AZUREML_MODEL_DIR" -name MLmodel | head -n 1)") \\
 && if [ -f "$m/requirements.txt" ]; then pip install --quiet -r "$m/requirements.txt"; fi \\
 && exec mlflow models serve -m "$m" -h 0.0.0.0 -p 8080 --env-manager local
"""
"""MLflow's own scoring server. AZUREML_MODEL_DIR is where Azure puts the model:
https://learn.microsoft.com/azure/machine-learning/how-to-deploy-custom-container"""


def routes(ping: Value) -> Map:
    """What Azure asks a container: ``GET /ping`` whether it lives, ``POST /invocations`` for a prediction."""
    alive = Map(port=PORT, path=ping)
    return Map(livenessRoute=alive, readinessRoute=alive, scoringRoute=Map(port=PORT, path="/invocations"))


def of_image(context: LoweringContext, chosen: Value, *, key: str | None = None, ping: Value = None) -> tuple[Resource, ...]:
    """An environment of the component's own with this image; with ``ping``, one that serves. Its version is the image's name."""
    kept = context.resource(
        "azure.ml_environment",
        {"name": named(context, key or "", limit=200), "parent": workspace_of(context)},
        role="environment",
        key=key,
    )
    version = context.resource(
        "azure.ml_environment_version",
        {
            "name": _version_of(chosen),
            "parent": own(context, "id", role="environment", key=key),
            "image": chosen,
            "osType": "Linux",
            **({"inferenceConfig": routes(ping)} if ping is not None else {}),
        },
        role="environment_version",
        key=key,
    )
    return kept, version


def id_of(context: LoweringContext, key: str | None = None) -> Ref:
    """The ARM id of the component's own environment, in its version."""
    return own(context, "id", role="environment_version", key=key)


def serving(context: LoweringContext, ping: Value) -> tuple[Resource, ...]:
    """The environment that serves MLflow's models, shared: built by Azure from a Dockerfile of ours, or the image of the settings."""
    chosen = (context.settings.get("images") or EMPTY).get("serving")
    dockerfile = _DOCKERFILE.replace("@BASE@", image(context, "python"))
    name = digest_of([chosen or dockerfile, ping], 12)
    resources: list[Resource] = []
    if chosen:
        what: dict[str, Value] = {"image": chosen}
    else:
        files = context.shared(
            "azure.text_files", {"container": content(context), "files": Map(Dockerfile=dockerfile)}, role="serving_files"
        )
        resources.append(files)
        what = {"build": Map(contextUri=ref(context, "serving_files", "uri"), dockerfilePath="Dockerfile")}
    kept = context.shared("azure.ml_environment", {"name": "mlinfra-serving", "parent": workspace_of(context)}, role="serving")
    version = context.shared(
        "azure.ml_environment_version",
        {
            "name": name,
            "parent": ref(context, "serving", "id"),
            "osType": "Linux",
            "inferenceConfig": routes(ping),
            **what,
        },
        role=f"serving_{name}",
    )
    return (*resources, kept, version)


def serving_id(context: LoweringContext, resources: tuple[Resource, ...]) -> Ref:
    """The ARM id of what :func:`serving` gave."""
    return Ref(resources[-1].address, ("id",))


def _version_of(chosen: Value) -> Value:
    """One version an image: known as soon as the image is."""
    if isinstance(chosen, str):
        return digest_of(chosen, 16)
    return Expr("${image.split('@sha256:')[1].substring(0, 16)}", ((("image",), chosen),))
