"""``dataset`` on Azure: blobs below the digest of their bytes, with a manifest, and a data asset of the ML workspace that names the version."""

from __future__ import annotations

from mlinfra.kinds.dataset import Dataset
from mlinfra.model.values import Map
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.datasets import lowered
from mlinfra_azure.lowering.base import workspace, workspace_of
from mlinfra_azure.lowering.common import named, own


def lower(spec: Dataset, context: LoweringContext) -> Lowered:
    """One ``azure.dataset``; an ``azure.ml_data`` and its ``azure.ml_data_version``, by which the studio shows it."""
    instead = "give steps and jobs the https:// URI itself, or copy it here first"
    data = lowered(spec, context, "azure.dataset", instead=instead, bucket="uri")
    (main,) = data.resources
    digest = str(main.attributes["version"]).removeprefix("sha256:")
    asset = context.resource(
        "azure.ml_data",
        {
            "name": named(context, limit=200),
            "parent": workspace_of(context),
            "dataType": "uri_file" if main.attributes["file"] else "uri_folder",
        },
        role="asset",
    )
    version = context.resource(
        "azure.ml_data_version",
        {
            "name": digest[:16],
            "parent": own(context, "id", role="asset"),
            "dataType": "uri_file" if main.attributes["file"] else "uri_folder",
            "dataUri": own(context, "uri"),
            "properties": Map({"mlinfra-digest": f"sha256:{digest}"}),
        },
        role="version",
    )
    return Lowered(resources=(*workspace(context), main, asset, version), outputs=data.outputs)
