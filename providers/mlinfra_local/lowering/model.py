"""``model`` on local: a registered model, its versions, and its aliases."""

from __future__ import annotations

from mlinfra.kinds.model import RegisteredModel
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.mlflow.lowering import lower_model
from mlinfra_local.client import SCHEME


def lower(spec: RegisteredModel, context: LoweringContext) -> Lowered:
    """``local.model``, a ``local.model_version`` for each version, one ``local.model_aliases`` when there are aliases."""
    hint = "give the version an 'artifact', or use target docker"
    return lower_model(spec, context, target="local", scheme=SCHEME, no_images=hint)
