"""``azure.user_assigned_identity``, ``azure.role_assignment``.

https://learn.microsoft.com/azure/role-based-access-control/role-assignments-template
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlinfra.model.resource import Observed
from mlinfra.model.schema import Attribute
from mlinfra.model.values import Map, Path, Value
from mlinfra_azure.client import AzureClient
from mlinfra_azure.engine.resource import TableType
from mlinfra_azure.names import assignment_name
from mlinfra_azure.shape import alike
from mlinfra_azure.table import Row

ROLES: Mapping[str, str] = {
    "Owner": "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
    "Contributor": "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "Reader": "acdd72a7-3385-48ef-bd42-f606fba81ae7",
    "User Access Administrator": "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "Storage Blob Data Reader": "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
    "AcrPull": "7f951dda-4ed3-4680-a7ca-43fe172d538d",
    "AcrPush": "8311e382-0749-4cb8-b61a-304f252e45ec",
    "Key Vault Administrator": "00482a5a-887f-4fb3-b363-3b7fe8e74483",
    "Key Vault Secrets Officer": "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
    "Key Vault Secrets User": "4633458b-17de-408a-b874-0445c86b69e6",
    "AzureML Data Scientist": "f6c7c914-8db3-469d-8ca1-694a8f32e121",
    "AzureML Compute Operator": "e503ece1-11d0-4e8e-8e2c-7a6c3bf38815",
    "AzureML Registry User": "1823dd4f-9b8c-4ab6-ab4e-7397a3684615",
    "Virtual Machine Contributor": "9980e02c-c2be-4d73-94e8-173b1dc7cf3c",
    "Network Contributor": "4d97b98b-1d4f-4787-a291-c67834d212e7",
    "Monitoring Reader": "43d0d8ad-25c7-4714-9337-8ba259a9fe05",
}
"""Built-in roles by name. https://learn.microsoft.com/azure/role-based-access-control/built-in-roles"""
_NEVER = "a role assignment never changes (Microsoft.Authorization/roleAssignments@2022-04-01)"


class UserAssignedIdentity(TableType):
    """An identity that jobs and machines run as."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="azure.user_assigned_identity", arm="Microsoft.ManagedIdentity/userAssignedIdentities", home="group",
                fixed={"isolationScope": "set when the identity is made"},
                outputs={n: f"properties.{n}" for n in ("principalId", "clientId", "tenantId")},
                name_rule=(r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,127}", "3 to 128 letters, digits, - and _"),
            )
        )  # fmt: skip


class RoleAssignment(TableType):
    """A grant: ``roleDefinitionId`` (an id, or a built-in role's name) to ``principalId`` at ``scope``. Its name is a GUID of the three, so
    that the same grant is never made twice."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="azure.role_assignment", arm="Microsoft.Authorization/roleAssignments", within="scope",
                below="providers/Microsoft.Authorization/roleAssignments", marks="properties.description", limit=1024, listed=False,
                fixed={n: _NEVER for n in ("principalId", "principalType", "roleDefinitionId", "delegatedManagedIdentityResourceId")},
                adds={"name": Attribute(type="string", computed=True, immutable=True, same=alike, source="a GUID of scope, role and principal"),
                      "roleDefinitionId": Attribute(type="string", required=True, immutable=True, same=same_role, source=_NEVER)},
                predict=_predict,
            )
        )  # fmt: skip

    def placed(self, client: AzureClient, attributes: Mapping[str, Value]) -> Map:
        return Map({**super().placed(client, attributes), "name": attributes.get("name") or _named(attributes)})

    def body(self, client: AzureClient, attributes: Mapping[str, Value], owned: Mapping[str, str], line: str) -> Any:
        role = role_id(str(attributes["roleDefinitionId"]), client.subscription)
        return super().body(client, Map({**attributes, "roleDefinitionId": role}), owned, line)

    def observed(self, client: AzureClient, identity: str, body: Mapping[str, Any], wanted: Mapping[str, Value]) -> Observed:
        seen = super().observed(client, identity, body, wanted)
        role, asked = seen.attributes.get("roleDefinitionId"), wanted.get("roleDefinitionId")
        spelled = asked if same_role(role, asked) else role
        return Observed(seen.id, Map({**seen.attributes, "roleDefinitionId": spelled}))

    def whole_body(self, client: AzureClient, live: dict[str, Any], wanted: Map, gone: Sequence[str]) -> dict[str, Any]:
        role = role_id(str(wanted["roleDefinitionId"]), client.subscription)
        return super().whole_body(client, live, Map({**wanted, "roleDefinitionId": role}), gone)

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        found = list(super().validate(attributes))
        role = attributes.get("roleDefinitionId")
        if isinstance(role, str) and role not in ROLES and "/roleDefinitions/" not in role:
            from difflib import get_close_matches

            near = get_close_matches(role, ROLES, 1)
            meant = f"did you mean {near[0]!r}?" if near else "write …/providers/Microsoft.Authorization/roleDefinitions/GUID"
            found.append((("roleDefinitionId",), f"{role!r} is no built-in role that is known here: {meant}"))
        return found


def role_id(role: str, subscription: str) -> str:
    """The id of a role, given as an id or as a built-in role's name."""
    if role in ROLES:
        return f"/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{ROLES[role]}"
    return role


def same_role(one: Value, other: Value) -> bool:
    """Whether two texts name one role: its id in whatever subscription, or its name."""
    return isinstance(one, str) and isinstance(other, str) and _guid(one) == _guid(other)


def _guid(role: str) -> str:
    return ROLES.get(role, role).rpartition("/")[2].lower()


def _named(attributes: Mapping[str, Value]) -> Value:
    given = [attributes.get(n) for n in ("scope", "roleDefinitionId", "principalId")]
    if not all(isinstance(v, str) for v in given):
        return None
    scope, role, principal = (str(v) for v in given)
    return assignment_name(scope, _guid(role), principal)


def _predict(attributes: Map) -> Mapping[str, Value]:
    name = attributes.get("name") or _named(attributes)
    if not isinstance(name, str) or not isinstance(attributes.get("scope"), str):
        return {}
    return {"name": name, "id": f"{attributes['scope'].rstrip('/')}/providers/Microsoft.Authorization/roleAssignments/{name}"}
