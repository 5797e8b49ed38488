"""What an environment's components on Azure stand on, made once and shared: the resource group, an identity that work runs as, a storage
account with one container for what runs leave, a key vault, the ML workspace with a datastore, a compute cluster for work that names none.

Only what somebody needs is made; a group or a workspace that the settings name is taken as it is.
https://learn.microsoft.com/azure/machine-learning/concept-workspace#associated-resources
"""

from __future__ import annotations

from mlinfra.model.address import native
from mlinfra.model.resource import Resource
from mlinfra.model.values import Map, Ref, Value
from mlinfra.provider.contract import LoweringContext
from mlinfra_azure.lowering.common import based, given, identified, location, text, worldwide
from mlinfra_azure.names import blob_address, group_id

CONTAINER = "mlinfra"
"""The container for what runs leave; the datastore has its name."""
MACHINE = "Standard_DS3_v2"
_RIGHTS = ("Storage Blob Data Contributor", "AcrPull", "AzureML Data Scientist", "AzureML Registry User")
"""What work may do in the resource group: read and write data, pull images, report to the workspace, read models. No more."""
PRIVATE = {
    "sku": Map(name="Standard_LRS"),
    "kind": "StorageV2",
    "allowBlobPublicAccess": False,
    "minimumTlsVersion": "TLS1_2",
    "supportsHttpsTrafficOnly": True,
    "accessTier": "Hot",
}
"""A storage account that nobody reads without being asked who he is."""


def ref(context: LoweringContext, role: str, *path: str) -> Ref:
    """A reference to an attribute of what is shared."""
    return Ref(native(context.base, role), path)


def group(context: LoweringContext) -> tuple[Resource, ...]:
    """The resource group, where the settings name none."""
    if context.settings.get("resource_group"):
        return ()
    subscription, _, name = group_of(context).partition("/resourceGroups/")
    return (
        context.shared(
            "azure.resource_group", {"name": name, "parent": subscription, "location": location(context)}, role="group"
        ),
    )


def group_of(context: LoweringContext) -> str:
    """The group's ARM id."""
    return group_id(context.settings, context.project, context.environment)


def inside(context: LoweringContext) -> dict[str, Value]:
    """``parent`` and ``location`` of what lies in the group."""
    given_group = context.settings.get("resource_group")
    return {"parent": group_of(context) if given_group else ref(context, "group", "id"), "location": location(context)}


def identity_of(context: LoweringContext) -> str:
    """The ARM id of what work runs as."""
    chosen = context.settings.get("identity")
    return str(
        chosen or f"{group_of(context)}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{based(context, limit=128)}"
    )


def runs_as(context: LoweringContext) -> dict[str, Value]:
    """``identity`` of what runs as it."""
    return {"identity": identified(Map({identity_of(context): Map()}))}


def identity(context: LoweringContext) -> tuple[Resource, ...]:
    """The identity and its rights in the group, where the settings name none."""
    if context.settings.get("identity"):
        return group(context)
    made = context.shared("azure.user_assigned_identity", {"name": based(context, limit=128), **inside(context)}, role="identity")
    rights = [
        context.shared(
            "azure.role_assignment",
            {
                "scope": inside(context)["parent"],
                "principalId": ref(context, "identity", "principalId"),
                "roleDefinitionId": right,
                "principalType": "ServicePrincipal",
            },
            role=f"may_{right.lower().replace(' ', '_')}",
        )
        for right in _RIGHTS
    ]
    return (*group(context), made, *rights)


def after_identity(context: LoweringContext) -> tuple[str, ...]:
    """What must be there before anything can be told to run as the identity: its name is a constant, and makes no edge."""
    return tuple(r.address for r in identity(context) if r.type == "azure.user_assigned_identity")


def after_rights(context: LoweringContext) -> tuple[str, ...]:
    """What must be there before anything does run as it."""
    return tuple(r.address for r in identity(context) if r.type in ("azure.user_assigned_identity", "azure.role_assignment"))


def store(context: LoweringContext) -> tuple[Resource, ...]:
    """The storage account and its container."""
    account = context.shared(
        "azure.storage_account",
        {"name": worldwide(f"{context.project}{context.environment}", context), **inside(context), **PRIVATE},
        role="storage",
    )
    container = context.shared(
        "azure.storage_container",
        {"name": CONTAINER, "parent": ref(context, "storage", "id"), "publicAccess": "None"},
        role="content",
    )
    return (*group(context), account, container)


def content(context: LoweringContext) -> Value:
    """The container's URL."""
    return url_of(context, account=ref(context, "storage", "name"), container=ref(context, "content", "name"))


def url_of(context: LoweringContext, *, account: Value, container: Value) -> Value:
    """A container's URL, known as soon as the names are: the settings say where blobs lie."""
    return text(blob_address(context.settings, "${account}") + "/${container}", account=account, container=container)


def workspace(context: LoweringContext) -> tuple[Resource, ...]:
    """The ML workspace with all that it needs, and the datastore by which jobs write into the container."""
    found = [*store(context), *identity(context)[len(group(context)) :]]
    if not context.settings.get("workspace"):
        vault = context.shared(
            "azure.key_vault",
            {
                "name": worldwide(based(context), context, separator="-"),
                **inside(context),
                "sku": Map(family="A", name="standard"),
                "enableRbacAuthorization": True,
                **given(tenantId=context.settings.get("tenant")),
            },
            role="vault",
        )
        made = context.shared(
            "azure.ml_workspace",
            {
                "name": workspace_name(context),
                **inside(context),
                "identity": Map(type="SystemAssigned"),
                "sku": Map(name="Basic", tier="Basic"),
                "friendlyName": based(context),
                "storageAccount": ref(context, "storage", "id"),
                "keyVault": ref(context, "vault", "id"),
                "publicNetworkAccess": "Enabled",
            },
            role="workspace",
        )
        found += [vault, made]
    datastore = context.shared(
        "azure.ml_datastore",
        {
            "name": datastore_name(context),
            "parent": workspace_of(context),
            "datastoreType": "AzureBlob",
            "accountName": ref(context, "storage", "name"),
            "containerName": ref(context, "content", "name"),
            "credentials": Map(credentialsType="None"),
            "serviceDataAccessAuthIdentity": "None",
        },
        role="datastore",
    )
    return (*found, datastore)


def workspace_name(context: LoweringContext) -> str:
    return str(context.settings.get("workspace") or based(context, limit=33))


def workspace_of(context: LoweringContext) -> Value:
    """The workspace's ARM id."""
    chosen = context.settings.get("workspace")
    return (
        f"{group_of(context)}/providers/Microsoft.MachineLearningServices/workspaces/{chosen}"
        if chosen
        else ref(context, "workspace", "id")
    )


def datastore_name(context: LoweringContext) -> str:
    """Datastores take letters, digits and ``_``. In a workspace that others use too it carries the environment's name."""
    return based(context, limit=200).replace("-", "_") if context.settings.get("workspace") else CONTAINER


def compute(context: LoweringContext) -> tuple[Resource, ...]:
    """The workspace, and the compute cluster of work that names none: no machine stands while nothing runs."""
    cluster = context.shared(
        "azure.ml_compute",
        {
            "name": based(context, limit=24),
            "parent": workspace_of(context),
            **compute_parts(context, MACHINE, 0, 4, low_priority=False),
        },
        role="compute",
        depends_on=after_identity(context),
    )
    return (*workspace(context), cluster)


def compute_parts(context: LoweringContext, size: str, least: int, most: int, *, low_priority: bool) -> dict[str, Value]:
    """What a compute cluster is, beside its name. Idle machines go after five minutes."""
    return {
        "location": location(context),
        **runs_as(context),
        "computeType": "AmlCompute",
        "properties": Map(
            osType="Linux",
            vmSize=size,
            vmPriority="LowPriority" if low_priority else "Dedicated",
            scaleSettings=Map(minNodeCount=least, maxNodeCount=most, nodeIdleTimeBeforeScaleDown="PT5M"),
            remoteLoginPortPublicAccess="Disabled",
        ),
    }


def work(context: LoweringContext) -> dict[str, Value]:
    """Where a run stands: its workspace, its container, the container's root by the datastore, what it runs as."""
    paths = text(
        "azureml:/${workspace}/datastores/${datastore}/paths/", workspace=workspace_of(context), datastore=datastore_name(context)
    )
    return {
        "workspace": workspace_of(context),
        "bucket": content(context),
        "paths": paths,
        "identity": identity_of(context),
    }
