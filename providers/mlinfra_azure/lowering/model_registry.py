"""``model_registry`` on Azure: a registry of Azure Machine Learning, which brings its own storage and container registry."""

from __future__ import annotations

from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.model_registry import ModelRegistry
from mlinfra.model.values import Map
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra_azure.lowering.base import group, inside
from mlinfra_azure.lowering.common import location, named, own


def lower(spec: ModelRegistry, context: LoweringContext) -> Lowered:
    """One ``azure.ml_registry``."""
    if spec.port is not None:
        raise context.error(
            "azure.registry_port",
            "a registry of Azure Machine Learning has its page in the studio, and no port of its own",
            path=("port",),
            hint="leave port out; the output ui is the studio's address",
        )
    name = spec.name or named(context, limit=33)
    where = location(context)
    detail = Map(
        location=where,
        storageAccountDetails=(
            Map(
                systemCreatedStorageAccount=Map(
                    storageAccountType="Standard_LRS", allowBlobPublicAccess=False, storageAccountHnsEnabled=False
                )
            ),
        ),
        acrDetails=(Map(systemCreatedAcrAccount=Map(acrAccountSku="Premium")),),
    )
    registry = context.resource(
        "azure.ml_registry",
        {
            "name": name,
            **inside(context),
            "identity": Map(type="SystemAssigned"),
            "publicNetworkAccess": "Enabled",
            "regionDetails": (detail,),
        },
    )
    ui = "https://ml.azure.com/registries" + ("" if is_deferred(name) else f"/{name}")
    tracking = own(context, "mlFlowRegistryUri")
    outputs = Map(id=own(context, "id"), name=own(context, "name"), uri=tracking, tracking_uri=tracking, ui=ui)
    return Lowered(resources=(*group(context), registry), outputs=outputs)
