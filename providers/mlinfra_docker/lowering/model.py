"""``model`` on docker: a registered model, its versions, and its aliases, on an MLflow server."""

from __future__ import annotations

from mlinfra.kinds.model import RegisteredModel
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.mlflow.lowering import lower_model
from mlinfra_docker.volumes import SCHEME


def lower(spec: RegisteredModel, context: LoweringContext) -> Lowered:
    """``docker.model``, a ``docker.model_version`` for each version, one ``docker.model_aliases`` when there are aliases."""
    hint = "name the image in the endpoint's variant instead: variants: {…: {image: …}}"
    return lower_model(spec, context, target="docker", scheme=f"{SCHEME}://", no_images=hint)
