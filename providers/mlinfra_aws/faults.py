"""What AWS says, in the closed set of failures. AWS's own message, the operation and the request id are always told."""

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
    Transient,
)

_ABSENT = re.compile(
    r"(NotFound(Exception|Fault)?|NoSuch\w+|404|DoesNotExist|ResourceNotFound\w*|StateMachineDoesNotExist|RecordNotFound)$"
)
_TAKEN = re.compile(
    r"(AlreadyExists\w*|EntityAlreadyExists|BucketAlreadyOwnedByYou|ResourceExistsException|\.Duplicate|AlreadyExistsFault|"
    r"ConflictException\.AlreadyExists)$"
)
_SLOW = frozenset(
    [
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "Throttled",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "SlowDown",
        "503SlowDown",
        "RequestThrottled",
        "RequestThrottledException",
        "PriorRequestNotComplete",
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "TransactionInProgressException",
        "ProvisionedThroughputExceededException",
    ]
)
_FORBIDDEN = frozenset(
    [
        "AccessDenied",
        "AccessDeniedException",
        "AccessDeniedForDependencyException",
        "AllAccessDisabled",
        "UnauthorizedOperation",
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "SignatureDoesNotMatch",
        "InvalidAccessKeyId",
        "OptInRequired",
        "NotAuthorized",
        "AuthorizationError",
        "InvalidToken",
        "TokenRefreshRequired",
        "403",
        "Forbidden",
        "IncompleteSignature",
        "MissingAuthenticationToken",
    ]
)
_SIGN_IN = frozenset(
    [
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "SignatureDoesNotMatch",
        "InvalidAccessKeyId",
        "InvalidToken",
        "TokenRefreshRequired",
    ]
)
_FULL = re.compile(
    r"(LimitExceeded\w*|ServiceQuotaExceeded\w*|ResourceLimitExceeded|Insufficient\w*Capacity\w*|VcpuLimitExceeded|TooManyBuckets|"
    r"MaxSpotInstanceCountExceeded|InstanceLimitExceeded|Unsupported\w*Capacity)$"
)
_CHANGED = frozenset(
    [
        "ConflictException",
        "ConcurrentModification",
        "ConcurrentModificationException",
        "ConcurrentUpdateException",
        "OperationAborted",
        "ResourceInUse",
        "ResourceInUseException",
        "DeleteConflict",
        "DependencyViolation",
        "ResourceConflictException",
        "ConditionalRequestConflict",
        "IncorrectState",
        "IncorrectInstanceState",
        "VolumeInUse",
        "ResourceContention",
        "ScalingActivityInProgress",
        "InvalidGroup.InUse",
        "IncorrectModificationState",
        "ConcurrentOperationException",
        "ResourceInUseFault",
    ]
)
_BROKEN = frozenset(
    [
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServiceException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServerException",
        "InternalServiceError",
        "HandlerInternalFailureException",
        "ServiceInternalErrorException",
        "NetworkFailure",
        "NotStabilized",
        "Unavailable",
        "InternalFailureException",
    ]
)
_LOST = re.compile(
    r"no [a-z ]+ found|could not find|does not exist|not found|recordnotfound|no such|cannot find|doesn't exist|unable to find",
    re.IGNORECASE,
)
_THERE = re.compile(r"already exist|already in use|cannot create a duplicate|already owned|duplicate", re.IGNORECASE)
_ASSUME = re.compile(
    r"cannot be assumed|could not assume|not authorized to assume|unable to assume|sts:AssumeRole|invalid iam instance profile|"
    r"is not authorized to perform: iam:passrole|role .*(is invalid|not valid)|AssumeRole failed",
    re.IGNORECASE,
)


class RoleNotUsable(Invalid):
    """AWS cannot take on the role that it was given: for the first seconds of a role's life that is only eventual consistency."""


class Refused(Exception):
    """An error answer of AWS, taken apart: what :func:`failure_of` reads."""

    def __init__(self, code: str, message: str, operation: str, status: int, request: str, after: float | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.operation = code, message, operation
        self.status, self.request, self.after = status, request, after


def refused(response: Mapping[str, Any], operation: str) -> Refused:
    """What a botocore ClientError carries."""
    error = response.get("Error", {})
    meta = response.get("ResponseMetadata", {})
    headers = meta.get("HTTPHeaders") or {}
    wish = str(headers.get("retry-after", ""))
    return Refused(
        str(error.get("Code", "")),
        str(error.get("Message") or error.get("message") or "no reason given"),
        operation,
        int(meta.get("HTTPStatusCode") or 0),
        str(meta.get("RequestId") or headers.get("x-amzn-requestid") or headers.get("x-amz-request-id") or ""),
        float(wish) if wish.isdigit() else None,
    )


def failure_of(service: str, error: Refused, *, path: Path = ()) -> Failure:
    """The failure that an error answer stands for. Creates and the rest differ: what is in use when it is made exists already."""
    where = f"{service}:{error.operation}" + (f", request {error.request}" if error.request else "")
    said = f"{error.message} ({error.code or error.status}; {where})"
    code = error.code.rpartition("#")[2].removesuffix("Error") if error.code.endswith("Error") else error.code.rpartition("#")[2]
    making = error.operation.startswith(("Create", "Register", "Run", "Put"))
    vague = code in (
        "Validation",
        "ValidationException",
        "ValidationError",
        "InvalidParameterValue",
        "InvalidParameterCombination",
    )
    if code in _SLOW or error.code in _SLOW or error.status == 429 or "Rate exceeded" in error.message:
        return Throttled(said, after=error.after)
    if _ASSUME.search(error.message) and not (code in _FORBIDDEN and "iam:passrole" in error.message.lower()):
        return RoleNotUsable(
            said,
            path=path,
            hint="the role's AssumeRolePolicyDocument must allow the service to take it on (Principal: {Service: …}, Action: sts:AssumeRole)",
        )
    if code in _FORBIDDEN:
        hint = "sign in to AWS again" if code in _SIGN_IN else f"the credentials need {_permission(service, error.operation)}"
        return Denied(said, path=path, hint=hint)
    if code == "BucketAlreadyExists":
        return AlreadyExists(
            said,
            path=path,
            hint="bucket names are shared by all accounts of the world, and somebody else owns this one: choose another BucketName",
        )
    if _TAKEN.search(error.code) or (making and (code.startswith("ResourceInUse") or (vague and _THERE.search(error.message)))):
        return AlreadyExists(said, path=path)
    if making and code == "ConflictException" and _THERE.search(error.message):
        return AlreadyExists(said, path=path)
    if _ABSENT.search(error.code) or (_LOST.search(error.message) and (vague or error.status == 404) and not making):
        return NotFound(said, path=path)
    if _FULL.search(code):
        return Quota(said, path=path, hint="ask for more in Service Quotas, or choose another type, zone or region")
    if code in _CHANGED:
        return Conflict(said, path=path)
    if code in _BROKEN or error.code in _BROKEN or error.status >= 500:
        return Transient(said, path=path)
    return Invalid(said, path=path)


_IAM = {
    "cloudwatch": "cloudwatch",
    "stepfunctions": "states",
    "cloudcontrol": "cloudformation",
    "resourcegroupstaggingapi": "tag",
}


def _permission(service: str, operation: str) -> str:
    special = {("s3", "HeadBucket"): "s3:ListBucket", ("s3", "ListBuckets"): "s3:ListAllMyBuckets"}
    return special.get((service, operation), f"{_IAM.get(service, service)}:{operation}")
