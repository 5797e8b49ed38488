"""Secrets Manager's secrets. The value is sent and never read: what changes it elsewhere is nobody's drift."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from mlinfra.model.resource import Desired, ResourceState
from mlinfra.model.values import Map, Secret
from mlinfra.provider.failures import AlreadyExists, Failure, Invalid
from mlinfra_aws.client import Aws
from mlinfra_aws.engine.answers import Raw
from mlinfra_aws.engine.resource import TableType
from mlinfra_aws.engine.table import Table
from mlinfra_aws.engine.tags import Tags


class SecretType(TableType):
    """``aws.secretsmanager_secret``. ``RecoveryWindowInDays`` (not CloudFormation's): for how long a deleted one can be brought back; 30,
    or 0: gone at once."""

    def id_of(self, client: Aws, attributes: Map) -> str:
        return ""

    def _look(self, client: Aws, id: str, call: Callable[..., Any] | None = None) -> Raw | None:
        raw = super()._look(client, id, call)
        return None if raw is None or raw.get("DeletedDate") else raw

    def _search(self, client: Aws, desired: Desired, token: str) -> str:
        raw = self._look(client, str(desired.attributes["Name"]))
        return str(raw["ARN"]) if raw else ""

    def place(self, failure: Failure, attributes: Map) -> None:
        if isinstance(failure, AlreadyExists) or "scheduled for deletion" in failure.message:
            failure.path = ("Name",)
            if isinstance(failure, Invalid):
                failure.hint = (
                    f"bring it back (aws secretsmanager restore-secret --secret-id {attributes['Name']}) and import it, "
                    "or choose another name; RecoveryWindowInDays: 0 deletes at once"
                )
        super().place(failure, attributes)

    def _update(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> None:
        wanted = desired.attributes
        sent: dict[str, Any] = {}
        if "Description" in changed:
            sent["Description"] = wanted.get("Description") or ""
        if "KmsKeyId" in changed:
            sent["KmsKeyId"] = wanted.get("KmsKeyId") or "alias/aws/secretsmanager"
        value = wanted.get("SecretString")
        if "SecretString" in changed and value is not None:
            sent["SecretString"] = value.reveal() if isinstance(value, Secret) else value
        if sent:
            sent["ClientRequestToken"] = uuid.uuid4().hex
            client.call("secretsmanager", "UpdateSecret", SecretId=recorded.id, **sent)

    def _delete(self, client: Aws, recorded: ResourceState) -> None:
        days = recorded.attributes.get("RecoveryWindowInDays", 30)
        how: dict[str, Any] = {"RecoveryWindowInDays": days} if days else {"ForceDeleteWithoutRecovery": True}
        client.call("secretsmanager", "DeleteSecret", SecretId=recorded.id, **how)


SECRET = SecretType(
    Table(
        type="aws.secretsmanager_secret",
        cloudformation="AWS::SecretsManager::Secret",
        service="secretsmanager",
        name="Name",
        id="ARN",
        key="SecretId",
        create="CreateSecret",
        read="DescribeSecret",
        update="UpdateSecret",
        delete="DeleteSecret",
        without=("GenerateSecretString", "ReplicaRegions", "Type"),
        extra={"properties": {"RecoveryWindowInDays": {"type": "integer", "minimum": 0, "maximum": 30}}},
        silent=("RecoveryWindowInDays", "SecretString"),
        secret=("SecretString",),
        computed={"Id": "ARN"},
        arn="Id",
        tags=Tags(inside="Tags", by="SecretId", of="id"),
        alphabet="a-zA-Z0-9/_+=.@",
        limit=256,
        holds_data=True,
    )
)
