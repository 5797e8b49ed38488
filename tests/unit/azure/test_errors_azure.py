"""ARM's errors as failures: Azure's code, the request's id, and the way out."""

from __future__ import annotations

import pytest

from mlinfra.provider.failures import AlreadyExists, Conflict, Denied, Failure, Invalid, NotFound, Quota, Throttled, Transient
from mlinfra_azure.errors import NotRegistered, failure, operation_failure

VAULT = "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/acme"
WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/ml"


def said(status: int, code: str, message: str, resource: str = VAULT) -> Failure:
    return failure(status, {"error": {"code": code, "message": message}}, subscription="s", resource=resource, request_id="r-1")


@pytest.mark.parametrize(
    ("status", "code", "message", "kind", "words"),
    [
        (409, "MissingSubscriptionRegistration", "The subscription is not registered to use namespace 'Microsoft.App'.", NotRegistered,
         ("not registered to use Microsoft.App", "az provider register -n Microsoft.App", "register_providers: true")),
        (403, "AuthorizationFailed", "The client 'x' does not have authorization to perform action 'Microsoft.KeyVault/vaults/write' over scope "
         "'/subscriptions/s' or the scope is invalid.", Denied, ("a role that allows Microsoft.KeyVault/vaults/write", "--scope /subscriptions/s")),
        (403, "RequestDisallowedByPolicy", "Resource was disallowed by policy.", Denied, ("az policy assignment list",)),
        (409, "ScopeLocked", "The scope is locked.", Denied, ("az lock list",)),
        (401, "InvalidAuthenticationToken", "The access token is invalid.", Denied, ("az login",)),
        (404, "SubscriptionNotFound", "The subscription 's' could not be found.", Denied, ("az account list",)),
        (409, "ConflictError", "A vault with the same name already exists in deleted state. You need to either recover or purge it.",
         AlreadyExists, ("az keyvault recover --name acme", "az keyvault purge --name acme", "purge: true")),
        (409, "StorageAccountAlreadyTaken", "The storage account named acme is already taken.", AlreadyExists, ("choose another",)),
        (400, "OperationNotAllowed", "Operation could not be completed as it results in exceeding approved Total Regional Cores quota.", Quota,
         ("ask for more",)),
        (409, "SkuNotAvailable", "The requested size is currently not available.", Quota, ("another size, zone or location",)),
        (429, "TooManyRequests", "slow", Throttled, ()),
        (412, "PreconditionFailed", "etag", Conflict, ()),
        (409, "AnotherOperationInProgress", "busy", Conflict, ()),
        (400, "PrincipalNotFound", "Principal x does not exist in the directory.", Transient, ()),
        (404, "ResourceNotFound", "no", NotFound, ()),
        (400, "InvalidRequestContent", "bad", Invalid, ()),
        (503, "", "", Transient, ()),
    ],
)  # fmt: skip
def test_an_answer_becomes_the_failure_that_it_means(
    status: int, code: str, message: str, kind: type, words: tuple[str, ...]
) -> None:
    found = said(status, code, message)
    assert type(found) is kind
    assert "request r-1" in found.message and code in found.message
    for word in words:
        assert word in f"{found.message} {found.hint}"


def test_a_workspace_that_was_deleted_says_how_to_purge_it() -> None:
    found = said(409, "Conflict", "Soft-deleted workspace exists. Please purge or recover it.", WORKSPACE)
    assert (
        type(found) is AlreadyExists and "az ml workspace delete --name ml --resource-group g --permanently-delete" in found.hint
    )


def test_a_target_names_the_attribute() -> None:
    body = {"error": {"code": "InvalidParameter", "message": "bad", "target": "properties.encryption.services[0].blob"}}
    assert failure(400, body, subscription="s").path == ("encryption", "services", 0, "blob")


def test_what_only_announces_gives_way_to_the_one_that_says_more() -> None:
    inner = {"code": "QuotaExceeded", "message": "no cores left"}
    found = operation_failure(
        {"code": "ResourceDeploymentFailure", "message": "It failed.", "details": [inner]}, subscription="s"
    )
    assert type(found) is Quota and "no cores left" in found.message and "QuotaExceeded" in found.message


def test_an_operation_that_failed_on_azures_own_side_may_be_tried_again() -> None:
    assert type(operation_failure({"code": "InternalServerError", "message": "oops"}, subscription="s")) is Transient
