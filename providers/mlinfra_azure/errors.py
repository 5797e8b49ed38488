"""ARM's errors as failures, each with Azure's own code and the request's id, and the way out.

https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors,
https://github.com/microsoft/api-guidelines/blob/vNext/azure/Guidelines.md#handling-errors
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mlinfra.model.values import Path
from mlinfra.provider.failures import (
    AlreadyExists,
    Conflict,
    Denied,
    Failure,
    Invalid,
    NotFound,
    Quota,
    Throttled,
    Timeout,
    Transient,
)

_SLOW_DOWN = {"toomanyrequests", "subscriptionrequeststhrottled", "resourcerequeststhrottled", "throttled", "requestthrottled"}
_NO_ROOM = {
    "skunotavailable", "allocationfailed", "zonalallocationfailed", "overconstrainedallocationrequest",
    "overconstrainedzonalallocationrequest", "outofcapacity", "insufficientcapacity",
}  # fmt: skip
_QUOTA = {
    "quotaexceeded", "resourcequotaexceeded", "outofquota", "notenoughcores", "maxstorageaccountscountpersubscriptionexceeded",
    "quotalimitreached", "insufficientquota", "subscriptionquotaexceeded", "amlcomputequotaexceeded",
}  # fmt: skip
_BUSY = {
    "anotheroperationinprogress", "retryableerror", "conflictingconcurrentwritenotallowed", "parentresourcebusy", "resourcenotready",
    "preconditionfailed", "conditionnotmet", "resourcegroupbeingdeleted", "accountisnotinexpectedstate", "concurrentupdateerror",
    "nicinuse", "inusesubnetcannotbedeleted", "networksecuritygroupinuse", "publicipaddresscannotbedeleted", "resourceoperationfailure",
    "roleassignmentupdatenotpermitted", "referencedresourcenotprovisioned", "operationpreempted",
}  # fmt: skip
_TAKEN = {
    "storageaccountalreadytaken", "alreadyinuse", "registrynameinuse", "vaultalreadyexists", "roleassignmentexists", "resourcealreadyexists",
    "namenotavailable", "accountnamealreadyexists", "containeralreadyexists",
}  # fmt: skip
_SLOW_TO_SHOW = {"principalnotfound"}
_REFUSED = {
    "authorizationfailed",
    "linkedauthorizationfailed",
    "forbidden",
    "authorizationpermissionmismatch",
    "doesnothavepermission",
}


class NotRegistered(Denied):
    """The subscription has not registered the resource provider ``namespace`` yet."""

    def __init__(self, message: str, *, namespace: str, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.namespace = namespace


def failure(
    status: int, body: Any, *, subscription: str, resource: str = "", request_id: str = "", retry_after: float | None = None
) -> Failure:
    """The failure for an HTTP answer of ``status`` and its JSON ``body``, about the ARM id ``resource``."""
    error = body.get("error", body) if isinstance(body, Mapping) else {}
    error = error if isinstance(error, Mapping) else {"message": str(error)}
    code, message, target = _innermost(error)
    found = _made(status, code, message, target, subscription, resource, retry_after)
    about = ", ".join(filter(None, (code, f"request {request_id}" if request_id else "")))
    found.message = f"{found.message} ({about})" if about else found.message
    found.args = (found.message,)
    return found


def operation_failure(error: Mapping[str, Any], *, subscription: str, resource: str = "", request_id: str = "") -> Failure:
    """The failure with which an asynchronous operation, or a provisioning state, ended."""
    given = (
        error if error.get("code") or error.get("message") else {"code": "Failed", "message": "Azure says no more than: failed"}
    )
    found = failure(400, {"error": given}, subscription=subscription, resource=resource, request_id=request_id)
    if isinstance(found, Invalid) and str(given.get("code", "")).lower() in (
        "internalservererror",
        "internalerror",
        "serviceerror",
    ):
        return Transient(found.message)
    return found


def _innermost(error: Mapping[str, Any]) -> tuple[str, str, str]:
    """The code, message and target that say most: those of the one detail where the outer ones only announce it."""
    code, message, target = (str(error.get(k) or "") for k in ("code", "message", "target"))
    details = [d for d in error.get("details") or () if isinstance(d, Mapping) and (d.get("code") or d.get("message"))]
    if len(details) == 1 and (code in _OUTER or not message):
        return _innermost(details[0])
    said = "; ".join(
        dict.fromkeys(str(d.get("message")) for d in details if d.get("message") and str(d["message"]) not in message)
    )
    text = " ".join(f"{message}{f' {said}' if said else ''}".split())
    return code, text, target


_OUTER = {"MultipleErrorsOccurred", "DeploymentFailed", "ResourceDeploymentFailure", "BadRequest", "ValidationError", "UserError"}


def _made(
    status: int, code: str, message: str, target: str, subscription: str, resource: str, retry_after: float | None
) -> Failure:
    key, said = code.lower(), message or f"HTTP {status}"
    lower = said.lower()
    if status == 429 or key in _SLOW_DOWN:
        return Throttled(said, after=retry_after)
    if "missingsubscriptionregistration" in key or key == "subscriptionnotregistered":
        return _unregistered(said, subscription)
    gone = _soft_deleted(key, lower, said, resource)
    if gone is not None:
        return gone
    if key in _NO_ROOM:
        return Quota(said, hint="the region or zone has none of these at the moment: another size, zone or location may")
    if key in _QUOTA or (key in ("operationnotallowed", "badrequest", "invalidrequest", "usererror") and "quota" in lower):
        return Quota(
            said, hint="ask for more, or free some: https://portal.azure.com/#view/Microsoft_Azure_Capacity/QuotaMenuBlade"
        )
    if status == 401 or key in ("invalidauthenticationtoken", "expiredauthenticationtoken", "authenticationfailed"):
        return Denied(
            said,
            hint="az login, or AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET; does the subscription belong to the tenant?",
        )
    if key in ("subscriptionnotfound", "invalidsubscriptionid"):
        return Denied(said, hint="az account list shows those that you may use; set providers: {azure: {subscription: …}}")
    if key in ("requestdisallowedbypolicy", "requestdisallowedbyazure"):
        return Denied(
            said, hint="a policy of your organisation forbids it: az policy assignment list --disable-scope-strict-match"
        )
    if key == "scopelocked":
        return Denied(said, hint="a lock protects it: az lock list")
    if status == 403 or key in _REFUSED:
        return Denied(said, hint=_grant(said, resource))
    if key in _SLOW_TO_SHOW:
        return Transient(said)
    if key in _TAKEN or (status == 409 and "already exists" in lower):
        taken = "the name is taken, maybe by somebody else: choose another" if key in _TAKEN - {"roleassignmentexists"} else ""
        return AlreadyExists(said, hint=taken)
    if status in (409, 412) or key in _BUSY:
        return Conflict(said)
    if status == 404 or key in ("resourcenotfound", "resourcegroupnotfound", "parentresourcenotfound", "notfound"):
        return NotFound(said)
    if status == 408 or key in ("gatewaytimeout", "operationtimedout"):
        return Transient(said)
    if status >= 500:
        return Transient(said)
    if key in ("timeout", "provisioningtimeout"):
        return Timeout(said)
    return Invalid(said, path=_place(target))


def _unregistered(said: str, subscription: str) -> Failure:
    found = re.search(r"namespace '([\w.]+)'", said) or re.search(r"(Microsoft\.\w+)", said)
    namespace = found[1] if found else "Microsoft.…"
    return NotRegistered(
        f"the subscription {subscription} is not registered to use {namespace}",
        namespace=namespace,
        hint=f"az provider register -n {namespace} --wait, or providers: {{azure: {{register_providers: true}}}}",
    )


def _soft_deleted(key: str, lower: str, said: str, resource: str) -> Failure | None:
    """A name that something deleted still holds: https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview,
    https://aka.ms/wsoftdelete."""
    if not ("deleted state" in lower or "soft-deleted" in lower or "soft deleted" in lower or "softdeleted" in key):
        return None
    steps = resource.split("/")
    name = steps[-1] if resource else "NAME"
    group = steps[4] if len(steps) > 4 else "GROUP"
    if "/vaults/" in resource.lower() or "vault" in lower:
        way = f"az keyvault recover --name {name} and mlinfra import, or az keyvault purge --name {name}"
    elif "/workspaces/" in resource.lower() or "workspace" in lower:
        purge = f"az ml workspace delete --name {name} --resource-group {group} --permanently-delete --yes"
        way = f"{purge}, or recover it in the portal and mlinfra import"
    else:
        way = "recover or purge it"
    return AlreadyExists(said, hint=f"{way}; providers: {{azure: {{purge: true}}}} purges what mlinfra deletes")


def _grant(said: str, resource: str) -> str:
    """``… does not have authorization to perform action 'X' over scope 'Y' …``"""
    action = re.search(r"perform action(?:\(s\))? '([^']+)'", said)
    scope = re.search(r"over scope '([^']+)'", said)
    where = scope[1] if scope else resource
    what = f"a role that allows {action[1]}" if action else "a role that allows it"
    return f"ask for {what}: az role assignment create --assignee YOU --role ROLE --scope {where}" if where else f"ask for {what}"


def _place(target: str) -> Path:
    """The attribute that a ``target`` names: ``properties.accessTier`` or ``/properties/accessTier``."""
    steps = [s for s in re.split(r"[./]", target) if s]
    if not steps or not all(re.fullmatch(r"\w+(\[\d+\])?", s) for s in steps) or not steps[0][:1].islower():
        return ()
    if steps[0].lower() == "properties" and len(steps) > 1:
        steps = steps[1:]
    out: list[str | int] = []
    for step in steps:
        name, _, index = step.partition("[")
        out.append(name)
        if index:
            out.append(int(index[:-1]))
    return tuple(out)
