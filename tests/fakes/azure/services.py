"""What Azure's services do beside keeping what they are given: outputs, refusals, what never changes, what goes along with what.

https://learn.microsoft.com/rest/api: the pages of each resource provider.
"""

from __future__ import annotations

import hashlib
import re
import threading
import uuid
from typing import Any

from fakes.azure.server import SUBSCRIPTION, Azure, Refused, Request, Target
from fakes.entra import TENANT

_ML = "Microsoft.MachineLearningServices"
_STYLES = {
    "Microsoft.Storage/storageAccounts": "location", f"{_ML}/workspaces": "location", f"{_ML}/registries": "operation",
    f"{_ML}/workspaces/computes": "operation", f"{_ML}/workspaces/onlineEndpoints": "operation",
    f"{_ML}/workspaces/onlineEndpoints/deployments": "operation", f"{_ML}/workspaces/schedules": "operation",
    "Microsoft.ContainerRegistry/registries": "state", "Microsoft.KeyVault/vaults": "state", "Microsoft.App/containerApps": "operation",
    "Microsoft.App/managedEnvironments": "operation", "Microsoft.OperationalInsights/workspaces": "state",
    "Microsoft.Network/virtualNetworks": "operation", "Microsoft.Network/virtualNetworks/subnets": "operation",
    "Microsoft.Network/networkSecurityGroups": "operation", "Microsoft.Network/publicIPAddresses": "operation",
    "Microsoft.Network/networkInterfaces": "operation", "Microsoft.Compute/disks": "location", "Microsoft.Compute/virtualMachines": "operation",
    "Microsoft.Compute/virtualMachineScaleSets": "operation",
}  # fmt: skip
_FIXED: dict[str, tuple[str, ...]] = {
    "Microsoft.Storage/storageAccounts": ("kind", "properties.isHnsEnabled"),
    "Microsoft.KeyVault/vaults": ("properties.tenantId", "properties.softDeleteRetentionInDays"),
    f"{_ML}/workspaces": ("kind", "properties.storageAccount", "properties.keyVault"),
    f"{_ML}/workspaces/computes": ("properties.properties.vmSize", "properties.properties.vmPriority"),
    f"{_ML}/workspaces/onlineEndpoints": ("properties.authMode",),
    f"{_ML}/workspaces/onlineEndpoints/deployments": ("properties.instanceType", "properties.endpointComputeType"),
    f"{_ML}/workspaces/jobs": ("properties.command", "properties.environmentId", "properties.computeId", "properties.jobs"),
    f"{_ML}/workspaces/models/versions": ("properties.modelUri", "properties.modelType"),
    f"{_ML}/workspaces/data/versions": ("properties.dataUri", "properties.dataType"),
    f"{_ML}/workspaces/environments/versions": ("properties.image", "properties.condaFile"),
    f"{_ML}/workspaces/components/versions": ("properties.componentSpec",),
    f"{_ML}/workspaces/codes/versions": ("properties.codeUri",),
    "Microsoft.Authorization/roleAssignments": ("properties.principalId", "properties.roleDefinitionId"),
    "Microsoft.Compute/disks": ("properties.creationData", "zones"),
    "Microsoft.Compute/virtualMachines": (
        "properties.osProfile.adminUsername", "properties.osProfile.customData", "properties.storageProfile.imageReference", "zones",
    ),
}  # fmt: skip
_TAGS_ALONE = re.compile(r"Microsoft\.Network/|Microsoft\.MachineLearningServices/workspaces/onlineEndpoints")
_WORKSPACE_PATCH = {
    "applicationInsights", "containerRegistry", "description", "friendlyName", "imageBuildCompute", "publicNetworkAccess", "v1LegacyMode",
    "primaryUserAssignedIdentity", "serverlessComputeSettings", "managedNetwork", "serviceManagedResourcesSettings", "featureStoreSettings",
}  # fmt: skip
_JOB_ENDS = ("Completed", "Failed", "Canceled")
_GLOBAL = {
    "Microsoft.Storage/storageAccounts": "StorageAccountAlreadyTaken",
    "Microsoft.ContainerRegistry/registries": "AlreadyInUse",
}


def style(type: str) -> str:
    """How a change of this type goes on: ``operation`` (Azure-AsyncOperation), ``location``, ``state``, or at once."""
    return _STYLES.get(type, "sync")


def special(a: Azure, request: Request) -> tuple[int, Any, dict[str, str]] | None:
    """What is no object: registrations, tags of a scope, what lies in a group, vaults that were deleted."""
    path = request.path
    if path.lower() == f"/subscriptions/{SUBSCRIPTION}".lower() and request.http == "GET":
        return 200, {"id": path, "subscriptionId": SUBSCRIPTION, "tenantId": TENANT, "state": "Enabled"}, {}
    if request.http == "POST" and (
        found := re.fullmatch(r"(.+/registries/[^/]+/models/[^/]+)/versions/([^/]+)/startPendingUpload", path)
    ):
        return 200, _place_for(a, request, found[1], found[2]), {}
    if found := re.fullmatch(rf"/subscriptions/{SUBSCRIPTION}/providers/([\w.]+)(/register)?", path, re.IGNORECASE):
        state = "NotRegistered" if found[1] in a.unregistered else "Registered"
        if found[2] and state == "NotRegistered":
            a.unregistered.discard(found[1])
            state = "Registering"
        return 200, {"namespace": found[1], "registrationState": state}, {}
    if path.lower().endswith("/providers/microsoft.resources/tags/default"):
        return _tags(a, request, path[: -len("/providers/Microsoft.Resources/tags/default")])
    if found := re.fullmatch(r"(/subscriptions/[^/]+/resourceGroups/[^/]+)/resources", path, re.IGNORECASE):
        inside = [a.objects[k] for k in a.children(found[1])]
        top = [
            b for b in inside if str(b["id"]).rpartition("/providers/")[2].count("/") == 2 and "Authorization" not in b["type"]
        ]
        return 200, {"value": [{n: b[n] for n in ("id", "name", "type")} for b in top]}, {}
    if found := re.fullmatch(r".*/deletedVaults/([^/]+)(/purge)?", path):
        held = a.deleted.get(f"vault/{found[1].lower()}")
        if held is None:
            raise Refused(404, "DeletedVaultNotFound", f"The specified deleted vault '{found[1]}' does not exist.")
        if found[2]:
            del a.deleted[f"vault/{found[1].lower()}"]
            return 202, None, {}
        return 200, {"id": path, "name": found[1], "properties": {"vaultId": held["id"]}}, {}
    return None


def _place_for(a: Azure, request: Request, model: str, version: str) -> dict[str, Any]:
    """The place that a registry gives for the files of a version: a container of its own storage, and the right to write there.
    https://learn.microsoft.com/rest/api/azureml/registry-model-versions/create-or-get-start-pending-upload"""
    if model.lower() not in a.objects:
        raise Refused(404, "ResourceNotFound", f"{model} was not found")
    if (request.body or {}).get("pendingUploadType") not in ("None", "TemporaryBlobReference"):
        a.invalid.append(f"POST {request.path}: pendingUploadType")
        raise Refused(400, "BadRequest", "pendingUploadType is None or TemporaryBlobReference")
    container = "reg-" + hashlib.sha256(f"{model.lower()}/{version}".encode()).hexdigest()[:24]
    a.container_changed(container, True)
    blob = f"{a.blob_endpoint.replace('{account}', 'registrystorage')}/{container}"
    return {
        "pendingUploadType": "TemporaryBlobReference",
        "blobReferenceForConsumption": {
            "blobUri": blob,
            "storageAccountArmId": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/azureml-rg/providers/Microsoft.Storage/storageAccounts/r",
            "credential": {"credentialType": "SAS", "sasUri": a.signed(blob)},
        },
    }


def _tags(a: Azure, request: Request, scope: str) -> tuple[int, Any, dict[str, str]]:
    held = a.objects.get(scope.lower())
    if held is None:
        raise Refused(404, "ResourceNotFound", f"{scope} was not found")
    tags = held.setdefault("tags", {})
    if request.http == "PATCH":
        given = request.body["properties"]["tags"]
        if request.body["operation"] == "Merge":
            tags.update(given)
        elif request.body["operation"] == "Delete":
            for key in given:
                tags.pop(key, None)
        else:
            raise Refused(400, "InvalidTagsOperation", request.body["operation"])
        if len(tags) > 50:
            raise Refused(400, "TooManyTags", "50 tags at most")
        held["etag"] = f'W/"{next(a.counter)}"'
    return 200, {"id": request.path, "name": "default", "properties": {"tags": dict(tags)}}, {}


def may_be_made(a: Azure, target: Target, body: dict[str, Any], held: dict[str, Any] | None) -> None:
    """Whether a PUT, or a PATCH with all that stands, is allowed now."""
    _parents(a, target)
    _names(a, target, held)
    if held is not None:
        if "location" in held and str(body.get("location", held["location"])).lower() != str(held["location"]).lower():
            raise Refused(409, "InvalidResourceLocation", f"{target.id} exists in {held['location']}.")
        for place in _FIXED.get(target.type, ()):
            old, new = _at(held, place), _at(body, place)
            if old is not None and new is not None and old != new:
                raise Refused(400, "PropertyChangeNotAllowed", f"Changing property '{place}' is not allowed.", target=place)
    _references(a, target, body)
    if target.type.endswith("/onlineEndpoints"):
        _traffic(a, target, body["properties"])
    if target.type == "Microsoft.Compute/disks" and held is not None:
        old, new = held["properties"].get("diskSizeGB", 0), body["properties"].get("diskSizeGB", 1 << 20)
        if new < old:
            raise Refused(400, "ResizeDiskError", "Disk cannot be resized to a smaller size.")


def _parents(a: Azure, target: Target) -> None:
    if target.type == "Microsoft.Resources/resourceGroups":
        return
    group = re.match(r"/subscriptions/[^/]+/resourceGroups/([^/]+)", target.id, re.IGNORECASE)
    if group and group[0].lower() not in a.objects:
        raise Refused(404, "ResourceGroupNotFound", f"Resource group '{group[1]}' could not be found.")
    parent = target.parent.lower()
    if parent.endswith("/blobservices/default"):
        parent = parent.removesuffix("/blobservices/default")
    if re.fullmatch(r"/subscriptions/[^/]+", parent) or parent in a.objects:
        return
    asset = re.match(r"(.*)/(models|data|environments|components|codes)/([^/]+)\Z", target.parent, re.IGNORECASE)
    if asset and target.type.endswith("/versions") and asset[1].lower() in a.objects:  # the first version makes what it is one of
        body = born(a, Target(target.parent, target.type.removesuffix("/versions"), asset[1]), {"properties": {}}, None)
        a.objects[parent] = body
        return
    raise Refused(404, "ParentResourceNotFound", f"Failed to perform 'write' on resource of type '{target.type}', because the parent "
                  f"resource '{target.parent}' could not be found.")  # fmt: skip


def _names(a: Azure, target: Target, held: dict[str, Any] | None) -> None:
    name = target.id.rpartition("/")[2].lower()
    if held is None and target.type == "Microsoft.KeyVault/vaults" and f"vault/{name}" in a.deleted:
        raise Refused(409, "ConflictError", f"A vault with the same name already exists in deleted state. You need to either recover or purge "
                      f"existing key vault. Vault: {name}")  # fmt: skip
    if held is None and target.type == f"{_ML}/workspaces" and target.id.lower() in a.deleted:
        raise Refused(409, "Conflict", "Soft-deleted workspace exists. Please purge or recover it. https://aka.ms/wsoftdelete")
    code = _GLOBAL.get(target.type)
    if code and held is None and any(b["name"].lower() == name for b in a.of(target.type)):
        raise Refused(409, code, f"The name {name} is already taken.")
    if target.type == "Microsoft.Storage/storageAccounts" and not re.fullmatch(r"[a-z0-9]{3,24}", target.id.rpartition("/")[2]):
        raise Refused(400, "AccountNameInvalid", f"{name} is not a valid storage account name.")


def _references(a: Azure, target: Target, body: dict[str, Any]) -> None:
    """Ids of this subscription that a body names must be there."""
    if target.type.startswith(f"{_ML}/workspaces/") or target.type.startswith("Microsoft.Authorization"):
        return
    for id in _ids(body):
        base = re.sub(r"/(ipConfigurations|providers/Microsoft\.Compute/images|images)/.*", "", id)
        inline = re.match(r"(.*/virtualNetworks/[^/]+)/subnets/([^/]+)\Z", base)
        there = base.lower() in a.objects
        if inline and inline[1].lower() in a.objects:
            there = there or any(s["name"] == inline[2] for s in a.at(inline[1])["properties"].get("subnets", ()))
        if not there and "/userassignedidentities/" in base.lower() and base.lower() in {k.lower() for k in a.objects}:
            there = True
        if not there:
            raise Refused(400, "InvalidResourceReference", f"Resource {id} referenced by resource {target.id} was not found.")


def _ids(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [i for k, v in value.items() for i in ([k] if k.startswith("/subscriptions/") else []) + _ids(v)]
    if isinstance(value, list):
        return [i for v in value for i in _ids(v)]
    return (
        [value] if isinstance(value, str) and value.lower().startswith(f"/subscriptions/{SUBSCRIPTION}/resourcegroups/") else []
    )


def _traffic(a: Azure, target: Target, inner: dict[str, Any]) -> None:
    traffic, mirrored = inner.get("traffic") or {}, inner.get("mirrorTraffic") or {}
    for name in [*traffic, *mirrored]:
        if f"{target.id}/deployments/{name}".lower() not in a.objects:
            raise Refused(400, "BadRequest", f"The deployment {name} in the traffic of the endpoint does not exist.")
    if traffic and sum(traffic.values()) not in (0, 100):
        raise Refused(400, "BadRequest", "Sum of all traffic percentages must be either 0 or 100.")
    if len(mirrored) > 1 or any(v > 50 for v in mirrored.values()) or any(traffic.get(k) for k in mirrored):
        raise Refused(400, "BadRequest", "mirror traffic: one deployment, at most 50 per cent, and no live traffic")


def not_patchable(target: Target, body: dict[str, Any]) -> str:
    """Why a PATCH of this type does not take this body; nothing when it does."""
    inner = body.get("properties") or {}
    if target.type == f"{_ML}/workspaces/computes":
        given = inner.get("properties") or {}
        return (
            ""
            if set(body) == {"properties"} and set(inner) == {"properties"} and set(given) == {"scaleSettings"}
            else "scaleSettings alone"
        )
    if "location" in body:
        return "a PATCH takes no location"
    if _TAGS_ALONE.match(target.type) and set(body) - {"tags", "identity", "sku"}:
        return "a PATCH takes tags alone"
    if target.type == f"{_ML}/workspaces" and set(inner) - _WORKSPACE_PATCH:
        return f"a PATCH does not take {sorted(set(inner) - _WORKSPACE_PATCH)}"
    return ""


def born(a: Azure, target: Target, body: dict[str, Any], held: dict[str, Any] | None) -> dict[str, Any]:
    """The object as it is kept: what was given, what the service sets, what it never gives back."""
    name = target.id.rpartition("/")[2]
    inner: dict[str, Any] = body.setdefault("properties", {})
    before = (held or {}).get("properties", {})
    inner.pop("provisioningState", None)
    if target.type in _STYLES or target.type.startswith(f"{_ML}/"):
        inner["provisioningState"] = "Succeeded"
    fixed = str(uuid.uuid5(uuid.NAMESPACE_URL, target.id.lower()))
    account = f"{a.blob_endpoint.replace('{account}', name)}/"
    outputs: dict[str, dict[str, Any]] = {
        "Microsoft.Storage/storageAccounts": {"primaryEndpoints": {"blob": account}, "statusOfPrimary": "available"},
        "Microsoft.ManagedIdentity/userAssignedIdentities": {"principalId": fixed, "clientId": fixed[::-1].replace("-", ""), "tenantId": "t"},
        "Microsoft.KeyVault/vaults": {"vaultUri": f"https://{name.lower()}.vault.azure.net/"},
        "Microsoft.ContainerRegistry/registries": {"loginServer": f"{name.lower()}.azurecr.io"},
        f"{_ML}/workspaces": {"workspaceId": fixed, "discoveryUrl": "https://eastus.api.azureml.ms/discovery",
                              "mlFlowTrackingUri": f"azureml://eastus.api.azureml.ms/mlflow/v1.0{target.id}"},
        f"{_ML}/registries": {"discoveryUrl": f"https://eastus.api.azureml.ms/registrymanagement/v1.0/registries/{name}/discovery",
                              "mlFlowRegistryUri": f"azureml://eastus.api.azureml.ms/mlflow/v1.0/registries/{name}"},
        f"{_ML}/workspaces/onlineEndpoints": {"scoringUri": f"https://{name}.eastus.inference.ml.azure.com/score",
                                              "swaggerUri": f"https://{name}.eastus.inference.ml.azure.com/swagger.json"},
        "Microsoft.Network/publicIPAddresses": {"ipAddress": before.get("ipAddress", "")},
        "Microsoft.Compute/virtualMachines": {"vmId": fixed, "timeCreated": "2026-11-26T02:00:00Z"},
        "Microsoft.Compute/virtualMachineScaleSets": {"uniqueId": fixed},
        "Microsoft.OperationalInsights/workspaces": {"customerId": fixed, "sku": {"name": "PerGB2018", **(inner.get("sku") or {})}},
        "Microsoft.App/managedEnvironments": {"defaultDomain": f"{name}.eastus.azurecontainerapps.io", "staticIp": "203.0.113.9"},
        "Microsoft.Resources/resourceGroups": {"provisioningState": "Succeeded"},
    }  # fmt: skip
    inner.update(outputs.get(target.type, {}))
    if (body.get("identity") or {}).get("type", "").startswith("SystemAssigned"):
        body["identity"].update(principalId=fixed, tenantId="t")
    for identity in (body.get("identity") or {}).get("userAssignedIdentities") or {}:
        body["identity"]["userAssignedIdentities"][identity] = {"principalId": fixed, "clientId": fixed}
    _kept_back(target.type, inner)
    etag = f'W/"{next(a.counter)}"'
    _per_service(a, target, inner, before, etag)
    return {"id": target.id, "name": name, "type": target.type, **body, "etag": etag, "systemData": {"createdBy": "app"}}


def _kept_back(type: str, inner: dict[str, Any]) -> None:
    """Secrets, and what is input only, never come back."""
    for profile in (inner.get("osProfile"), (inner.get("virtualMachineProfile") or {}).get("osProfile")):
        if profile is not None:
            profile.pop("adminPassword", None)
            profile.pop("customData", None)
    inner.pop("userData", None)
    (inner.get("virtualMachineProfile") or {}).pop("userData", None)
    inner.pop("keys", None)
    inner.pop("createMode", None)
    if type.endswith("/datastores") and "credentials" in inner:
        inner["credentials"] = {"credentialsType": inner["credentials"]["credentialsType"]}
    for secret in (inner.get("configuration") or {}).get("secrets") or ():
        secret.pop("value", None)
    ((inner.get("appLogsConfiguration") or {}).get("logAnalyticsConfiguration") or {}).pop("sharedKey", None)
    if type.endswith("/computes"):
        ((inner.get("properties") or {}).get("userAccountCredentials") or {}).pop("adminUserPassword", None)


def _per_service(a: Azure, target: Target, inner: dict[str, Any], before: dict[str, Any], etag: str) -> None:
    if target.type == "Microsoft.Network/virtualNetworks":
        for subnet in inner.setdefault("subnets", []):
            subnet.update(id=f"{target.id}/subnets/{subnet['name']}", etag=etag, type="Microsoft.Network/virtualNetworks/subnets")
            subnet.setdefault("properties", {})["provisioningState"] = "Succeeded"
        listed = {str(s["id"]).lower() for s in inner["subnets"]}
        for key in a.children(target.id):  # a subnet of its own that the list does not name is taken away
            if key not in listed and a.objects[key]["type"].endswith("/subnets"):
                _in_use(a, key)
                del a.objects[key]
        for subnet in inner["subnets"]:
            own = {"type": "Microsoft.Network/virtualNetworks/subnets", "etag": etag}
            a.objects[str(subnet["id"]).lower()] = {**subnet, **own}
    if target.type == "Microsoft.Network/virtualNetworks/subnets" and target.parent.lower() in a.objects:
        listed_now = a.at(target.parent)["properties"].setdefault("subnets", [])
        mine = {"id": target.id, "name": target.id.rpartition("/")[2], "etag": etag, "properties": inner}
        a.at(target.parent)["properties"]["subnets"] = [*(s for s in listed_now if s["name"] != mine["name"]), mine]
    if target.type == "Microsoft.Network/networkInterfaces":
        for number, configuration in enumerate(inner.get("ipConfigurations", ())):
            configuration.setdefault("properties", {})["privateIPAddress"] = f"10.0.0.{4 + number}"
            configuration["properties"].setdefault("privateIPAllocationMethod", "Dynamic")
            configuration.update(id=f"{target.id}/ipConfigurations/{configuration['name']}", etag=etag)
    if target.type == "Microsoft.Network/networkSecurityGroups":
        for rule in inner.get("securityRules", ()):
            rule.update(id=f"{target.id}/securityRules/{rule['name']}", etag=etag)
            rule["properties"]["provisioningState"] = "Succeeded"
        inner["defaultSecurityRules"] = [{"name": "DenyAllInBound", "id": f"{target.id}/defaultSecurityRules/DenyAllInBound"}]
    if target.type == f"{_ML}/workspaces/jobs":
        inner["status"] = before.get("status", "NotStarted")
    if target.type == f"{_ML}/workspaces/computes":
        inner.setdefault("properties", {})["allocationState"] = "Steady"
    if target.type == "Microsoft.App/containerApps":
        ingress = (inner.get("configuration") or {}).get("ingress")
        if ingress is not None:
            ingress["fqdn"] = f"{target.id.rpartition('/')[2]}.eastus.azurecontainerapps.io"
    if target.type.endswith("/containers"):
        inner["hasLegalHold"] = False
        inner.setdefault("publicAccess", "None")


def made(a: Azure, target: Target, new: bool) -> None:
    """What happens when a change has come about."""
    held = a.objects.get(target.id.lower())
    if held is None:
        return
    if target.type == "Microsoft.Compute/virtualMachines" and new:
        _os_disk(a, held)
        address = a.machine_started(target.id, held)
        for nic in held["properties"].get("networkProfile", {}).get("networkInterfaces", ()):
            for configuration in a.at(str(nic["id"]))["properties"].get("ipConfigurations", ()):
                public = configuration["properties"].get("publicIPAddress")
                if public:
                    a.at(str(public["id"]))["properties"]["ipAddress"] = address
    inner = held["properties"]
    if target.type.endswith("/publicIPAddresses") and inner.get("publicIPAllocationMethod") == "Static":
        inner["ipAddress"] = inner.get("ipAddress") or "203.0.113.7"
    if target.type.endswith("/containers") and new:
        a.container_changed(target.id.rpartition("/")[2], True)


def _os_disk(a: Azure, held: dict[str, Any]) -> None:
    """A machine's own disk is an object too, which nobody asked for by name."""
    disk = held["properties"].get("storageProfile", {}).get("osDisk")
    if disk and disk.get("createOption") == "FromImage":
        group = str(held["id"]).partition("/providers/")[0]
        name = disk.setdefault("name", f"{held['name']}_OsDisk_1_{hashlib.sha256(held['id'].encode()).hexdigest()[:8]}")
        id = f"{group}/providers/Microsoft.Compute/disks/{name}"
        a.objects[id.lower()] = {"id": id, "name": name, "type": "Microsoft.Compute/disks", "location": held["location"],
                                 "etag": 'W/"0"', "properties": {"provisioningState": "Succeeded"}, "managedBy": held["id"]}  # fmt: skip
        disk["managedDisk"] = {**disk.get("managedDisk", {}), "id": id}


def looked(a: Azure, target: Target, held: dict[str, Any]) -> None:
    """Jobs go on by being looked at."""
    if target.type != f"{_ML}/workspaces/jobs":
        return
    inner = held["properties"]
    following = {"NotStarted": "Queued", "Queued": "Running", "CancelRequested": "Canceled"}.get(inner["status"])
    if following:
        inner["status"] = following
    if following == "Running":
        threading.Thread(target=_run, args=(a, str(held["id"]), held), daemon=True).start()


def _run(a: Azure, id: str, job: dict[str, Any]) -> None:
    """Run the job while the server goes on answering."""
    state, error = a.runner(a, id, dict(job))
    with a.guard:
        if job["properties"]["status"] == "Running":
            if error:
                job["properties"]["error"] = {"error": {"code": "UserError", "message": error}}
            job["properties"]["status"] = state


def acted(a: Azure, request: Request, target: Target) -> tuple[int, Any, dict[str, str]]:
    """POSTs."""
    held = a.found(target)
    if target.type == f"{_ML}/workspaces/jobs" and target.action == "cancel":
        if held["properties"]["status"] in _JOB_ENDS:
            raise Refused(400, "BadRequest", f"The job has ended: {held['properties']['status']}")
        held["properties"]["status"] = "CancelRequested"
        return 202, None, {}
    if target.action in ("listKeys", "listkeys"):
        return 200, {"primaryKey": "cHJpbWFyeQ==", "keys": [{"keyName": "key1", "value": "a2V5"}]}, {}
    raise Refused(501, "NotImplemented", f"the tests' Azure does not offer {target.type}/{target.action}")


def may_go(a: Azure, request: Request, target: Target, held: dict[str, Any]) -> None:
    """Whether a DELETE is allowed now."""
    if target.type == f"{_ML}/workspaces/computes" and request.query.get("underlyingResourceAction") not in ("Delete", "Detach"):
        a.invalid.append(f"DELETE {target.id}: underlyingResourceAction is missing")
        raise Refused(400, "BadArgument", "The query parameter underlyingResourceAction is required.")
    if target.type == f"{_ML}/workspaces/jobs" and held["properties"]["status"] not in _JOB_ENDS:
        raise Refused(400, "BadRequest", "A job that has not ended cannot be deleted.")
    if target.type.endswith("/onlineEndpoints/deployments"):
        endpoint = a.objects.get(target.parent.lower())
        if endpoint is not None and (endpoint["properties"].get("traffic") or {}).get(held["name"]):
            raise Refused(400, "BadRequest", f"The deployment {held['name']} has live traffic: set it to 0 first.")
    _in_use(a, target.id.lower())


def _in_use(a: Azure, key: str) -> None:
    codes = {
        "microsoft.network/networkinterfaces": "NicInUse", "microsoft.network/networksecuritygroups": "InUseNetworkSecurityGroupCannotBeDeleted",
        "microsoft.network/publicipaddresses": "PublicIPAddressCannotBeDeleted", "microsoft.compute/disks": "OperationNotAllowed",
        "microsoft.network/virtualnetworks/subnets": "InUseSubnetCannotBeDeleted", "microsoft.app/managedenvironments": "ManagedEnvironmentInUse",
    }  # fmt: skip
    code = codes.get(a.objects[key]["type"].lower())
    if code is None:
        return
    for other, body in a.objects.items():
        whose = (
            body["type"] not in ("Microsoft.Network/virtualNetworks", "Microsoft.Network/virtualNetworks/subnets")
            or "subnets" not in key
        )
        if other != key and whose and key in [i.lower() for i in _ids(body.get("properties"))]:
            raise Refused(400, code, f"{a.objects[key]['id']} is in use by {body['id']}.")


def gone(a: Azure, body: dict[str, Any], *, purged: bool) -> None:
    """What stays, or goes along, when something is deleted."""
    if body["type"] == "Microsoft.KeyVault/vaults":
        a.deleted[f"vault/{body['name'].lower()}"] = body
    if body["type"] == f"{_ML}/workspaces" and not purged:
        a.deleted[str(body["id"]).lower()] = body
    if body["type"] == "Microsoft.Network/virtualNetworks/subnets":
        network = a.objects.get(str(body["id"]).rpartition("/subnets/")[0].lower())
        if network is not None:
            network["properties"]["subnets"] = [s for s in network["properties"]["subnets"] if s["name"] != body["name"]]
    if body["type"] == "Microsoft.Compute/virtualMachines":
        disk = body["properties"].get("storageProfile", {}).get("osDisk", {})
        if disk.get("deleteOption") == "Delete" and "managedDisk" in disk:
            a.objects.pop(str(disk["managedDisk"]["id"]).lower(), None)
    if body["type"].endswith("/containers"):
        a.container_changed(body["name"], False)


def shown(body: dict[str, Any]) -> dict[str, Any]:
    """The answer: Compute writes the group's name of what it refers to in upper case, most services show their etag in a header alone."""
    if not body["type"].startswith(("Microsoft.Network", "Microsoft.Compute")):
        body.pop("etag", None)
    if body["type"] == "Microsoft.Compute/virtualMachines":
        return {**body, "properties": _upper(body["properties"])}
    return body


def _upper(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _upper(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_upper(v) for v in value]
    if isinstance(value, str) and value.startswith("/subscriptions/"):
        return re.sub(r"/resourceGroups/([^/]+)", lambda m: f"/resourceGroups/{m[1].upper()}", value)
    return value


def _at(body: Any, place: str) -> Any:
    for step in place.split("."):
        body = body.get(step) if isinstance(body, dict) else None
    return body
