"""IAM: roles, managed policies, their attachments, instance profiles. One GetAccountAuthorizationDetails reads them all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import Map, Path, Value
from mlinfra.provider.failures import AlreadyExists, Failure, NotFound
from mlinfra_aws.client import Aws
from mlinfra_aws.engine.answers import Raw
from mlinfra_aws.engine.listed import ListedType
from mlinfra_aws.engine.resource import TableType
from mlinfra_aws.engine.table import Listing, Table
from mlinfra_aws.engine.tags import Tags
from mlinfra_aws.engine.translate import document, parsed

NAMES = r"a-zA-Z0-9+=,.@_"
_VERSIONS = 5
"""So many versions a managed policy may have (IAM quotas)."""


class Described(ListedType):
    """What the account's authorization details tell. Where the credentials may not ask for them, each object is read by itself."""

    kind = ""

    def _list(self, client: Aws, most: int) -> tuple[dict[str, Raw], bool]:
        try:
            pages, whole = client.recalled("iam", f"details {most}", lambda: details(client, most))
        except Failure:
            return {}, False
        items = "RoleDetailList" if self.kind == "role" else "Policies"
        return {str(item[self.item_id]): item for page in pages for item in page.get(items) or ()}, whole

    item_id = ""


def details(client: Aws, most: int) -> tuple[list[Raw], bool]:
    """Roles and managed policies of the account, of at most so many pages as objects are asked for; whether that is all."""
    found: list[Raw] = []
    parameters: dict[str, Any] = {"Filter": ["Role", "LocalManagedPolicy"]}
    while len(found) < max(most, 1):
        page = client.insist("iam", "GetAccountAuthorizationDetails", **parameters)
        found.append(page)
        if not page.get("IsTruncated"):
            return found, True
        parameters["Marker"] = page["Marker"]
    return found, False


def policy_document(value: Any) -> Value:
    """A policy as IAM tells it: an object, or URL-encoded JSON."""
    from urllib.parse import unquote

    from mlinfra.model.values import freeze

    if isinstance(value, Mapping):
        return freeze(value)
    text = str(value)
    return parsed(text if text.lstrip().startswith(("{", "[")) else unquote(text))


class Role(Described):
    """``aws.iam_role`` with its inline ``Policies`` and ``ManagedPolicyArns``."""

    kind = "role"
    item_id = "RoleName"
    reshaped = frozenset({"Policies", "ManagedPolicyArns"})

    def _complete(self, client: Aws, desired: Desired, observed: Observed) -> None:
        client.made[observed.id] = client.made[str(observed.attributes["Arn"])] = time.monotonic()
        for arn in desired.attributes.get("ManagedPolicyArns") or ():
            client.insist("iam", "AttachRolePolicy", RoleName=observed.id, PolicyArn=arn)
        for policy in desired.attributes.get("Policies") or ():
            self._put(client, observed.id, policy)

    def _complete_half(self, client: Aws, found: Observed, desired: Desired) -> Observed:
        attributes = {**found.attributes}
        for name in ("ManagedPolicyArns", "Policies"):
            if attributes.get(name) != desired.attributes.get(name):
                self._complete(client, desired, found)
                attributes.update(
                    {n: desired.attributes[n] for n in ("ManagedPolicyArns", "Policies") if n in desired.attributes}
                )
        return Observed(found.id, Map(attributes))

    def _put(self, client: Aws, role: str, policy: Mapping[str, Any]) -> None:
        text = policy["PolicyDocument"]
        client.insist(
            "iam", "PutRolePolicy", RoleName=role, PolicyName=policy["PolicyName"],
            PolicyDocument=text if isinstance(text, str) else document(text),
        )  # fmt: skip

    def _properties(self, client: Aws, id: str, raw: Raw, names: frozenset[str]) -> dict[str, Value]:
        found = super()._properties(client, id, raw, names - {"Policies", "ManagedPolicyArns"})
        if "AssumeRolePolicyDocument" in found:
            found["AssumeRolePolicyDocument"] = policy_document(raw["AssumeRolePolicyDocument"])
        if "PermissionsBoundary" in names:
            found["PermissionsBoundary"] = (raw.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
        if "MaxSessionDuration" in names and "MaxSessionDuration" not in raw:  # the details do not tell it
            found["MaxSessionDuration"] = (self._look(client, id, client.insist) or {}).get("MaxSessionDuration")
        if "Description" in names and "Description" not in raw and "RolePolicyList" in raw:
            found["Description"] = (self._look(client, id, client.insist) or {}).get("Description")
        if "ManagedPolicyArns" in names:
            attached = raw.get("AttachedManagedPolicies")
            if attached is None:
                attached = client.listed("iam", "ListAttachedRolePolicies", "AttachedPolicies", RoleName=id)
            found["ManagedPolicyArns"] = tuple(sorted(p["PolicyArn"] for p in attached)) or None
        if "Policies" in names:
            found["Policies"] = self._inline(client, id, raw) or None
        return found

    def _inline(self, client: Aws, id: str, raw: Raw) -> tuple[Map, ...]:
        inline = raw.get("RolePolicyList")
        if inline is None:
            inline = [
                client.insist("iam", "GetRolePolicy", RoleName=id, PolicyName=name)
                for name in client.listed("iam", "ListRolePolicies", "PolicyNames", RoleName=id)
            ]
        return tuple([Map(PolicyName=p["PolicyName"], PolicyDocument=policy_document(p["PolicyDocument"])) for p in inline])

    def _update(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> None:
        role, before, after = recorded.id, recorded.attributes, desired.attributes
        if "AssumeRolePolicyDocument" in changed:
            text = after["AssumeRolePolicyDocument"]
            client.insist(
                "iam", "UpdateAssumeRolePolicy", RoleName=role, PolicyDocument=text if isinstance(text, str) else document(text)
            )
        if changed & {"Description", "MaxSessionDuration"}:
            client.insist(
                "iam", "UpdateRole", RoleName=role, Description=after.get("Description") or "",
                MaxSessionDuration=after.get("MaxSessionDuration") or 3600,
            )  # fmt: skip
        if "PermissionsBoundary" in changed:
            if after.get("PermissionsBoundary"):
                client.insist(
                    "iam", "PutRolePermissionsBoundary", RoleName=role, PermissionsBoundary=after["PermissionsBoundary"]
                )
            else:
                client.insist("iam", "DeleteRolePermissionsBoundary", RoleName=role)
        if "ManagedPolicyArns" in changed:
            had, has = set(before.get("ManagedPolicyArns") or ()), set(after.get("ManagedPolicyArns") or ())
            for arn in sorted(has - had):
                client.insist("iam", "AttachRolePolicy", RoleName=role, PolicyArn=arn)
            for arn in sorted(had - has):
                with suppress(NotFound):
                    client.insist("iam", "DetachRolePolicy", RoleName=role, PolicyArn=arn)
        if "Policies" in changed:
            old = {p["PolicyName"]: p for p in before.get("Policies") or ()}
            new = {p["PolicyName"]: p for p in after.get("Policies") or ()}
            for name, policy in new.items():
                if old.get(name) != policy:
                    self._put(client, role, policy)
            for name in sorted(old.keys() - new.keys()):
                with suppress(NotFound):
                    client.insist("iam", "DeleteRolePolicy", RoleName=role, PolicyName=name)

    def _delete(self, client: Aws, recorded: ResourceState) -> None:
        """What is attached to it and inline in it goes first: IAM refuses otherwise."""
        role = recorded.id
        for arn in recorded.attributes.get("ManagedPolicyArns") or ():
            with suppress(NotFound):
                client.insist("iam", "DetachRolePolicy", RoleName=role, PolicyArn=arn)
        for policy in recorded.attributes.get("Policies") or ():
            with suppress(NotFound):
                client.insist("iam", "DeleteRolePolicy", RoleName=role, PolicyName=policy["PolicyName"])
        client.call("iam", "DeleteRole", RoleName=role)


ROLE = Role(
    Table(
        type="aws.iam_role",
        cloudformation="AWS::IAM::Role",
        service="iam",
        name="RoleName",
        create="CreateRole",
        read="GetRole",
        update="UpdateRole",
        delete="DeleteRole",
        made="Role",
        found="Role",
        computed={"Arn": "Arn", "RoleId": "RoleId"},
        arn="Arn",
        tags=Tags(inside="Tags", by="RoleName", of="id", add="TagRole", remove="UntagRole", list="ListRoleTags"),
        listing=Listing(operation="GetAccountAuthorizationDetails", items="RoleDetailList", id="RoleName", gives="all"),
        limit=64,
    )
)


class Policy(Described):
    """``aws.iam_policy``: a managed policy. A changed document is a new default version; the oldest makes room."""

    kind = "policy"
    item_id = "Arn"

    def _look(self, client: Aws, id: str, call: Callable[..., Any] | None = None) -> Raw | None:
        raw = super()._look(client, id, call)
        if raw is None:
            return None
        version = (call or client.call)("iam", "GetPolicyVersion", PolicyArn=id, VersionId=raw["DefaultVersionId"])
        return {**raw, "PolicyDocument": version["PolicyVersion"]["Document"]}

    def _properties(self, client: Aws, id: str, raw: Raw, names: frozenset[str]) -> dict[str, Value]:
        versions = raw.get("PolicyVersionList")
        if versions is not None:
            raw = {**raw, "PolicyDocument": next(v["Document"] for v in versions if v["IsDefaultVersion"])}
        found = super()._properties(client, id, {**raw, "PolicyName": id.rpartition("/")[2]}, names)
        if "PolicyDocument" in names:
            found["PolicyDocument"] = policy_document(raw["PolicyDocument"])
        return found

    def _search(self, client: Aws, desired: Desired, token: str) -> str:
        path = desired.attributes.get("Path") or "/"
        return f"arn:{client.partition}:iam::{client.account}:policy{path}{desired.attributes['ManagedPolicyName']}"

    def _update(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> None:
        if "PolicyDocument" not in changed:
            return
        versions = client.listed("iam", "ListPolicyVersions", "Versions", PolicyArn=recorded.id)
        if len(versions) >= _VERSIONS:
            oldest = min((v for v in versions if not v["IsDefaultVersion"]), key=lambda v: v["CreateDate"])
            client.insist("iam", "DeletePolicyVersion", PolicyArn=recorded.id, VersionId=oldest["VersionId"])
        text = desired.attributes["PolicyDocument"]
        client.call(
            "iam", "CreatePolicyVersion", PolicyArn=recorded.id, SetAsDefault=True,
            PolicyDocument=text if isinstance(text, str) else document(text),
        )  # fmt: skip

    def _delete(self, client: Aws, recorded: ResourceState) -> None:
        for version in client.listed("iam", "ListPolicyVersions", "Versions", PolicyArn=recorded.id):
            if not version["IsDefaultVersion"]:
                client.insist("iam", "DeletePolicyVersion", PolicyArn=recorded.id, VersionId=version["VersionId"])
        client.call("iam", "DeletePolicy", PolicyArn=recorded.id)


POLICY = Policy(
    Table(
        type="aws.iam_policy",
        cloudformation="AWS::IAM::ManagedPolicy",
        service="iam",
        name="ManagedPolicyName",
        id="Arn",
        key="PolicyArn",
        create="CreatePolicy",
        read="GetPolicy",
        update="CreatePolicyVersion",
        delete="DeletePolicy",
        made="Policy",
        found="Policy",
        names={"ManagedPolicyName": "PolicyName"},
        without=("Groups", "Roles", "Users"),
        computed={"PolicyArn": "Arn"},
        arn="PolicyArn",
        tags=Tags(by="PolicyArn", of="id", add="TagPolicy", remove="UntagPolicy", list="ListPolicyTags"),
        listing=Listing(operation="GetAccountAuthorizationDetails", items="Policies", id="Arn", gives="all"),
        limit=128,
    )
)

_RELATION = "iam:AttachRolePolicy has no update"


class Attachment(TableType):
    """``aws.iam_role_policy_attachment``: that a policy is attached to a role. It is a relation, not an object: it has no place for a
    mark, and making it twice is making it once (docs/decisions/0041)."""

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        return super().validate(attributes)

    def id_of(self, client: Aws, attributes: Map) -> str:
        return f"{attributes['RoleName']}/{attributes['PolicyArn']}"

    async def create(self, client: Aws, desired: Desired, token: str) -> Observed:
        return await client.run(self._attach, client, desired)

    def _attach(self, client: Aws, desired: Desired) -> Observed:
        self._check(desired)
        role, arn = str(desired.attributes["RoleName"]), str(desired.attributes["PolicyArn"])
        id = f"{role}/{arn}"
        if role not in client.made and self._attached(client, role, arn):  # a role of this apply has nothing yet
            raise AlreadyExists(f"{arn} is attached to the role {role} already, and not by this spec", import_id=id)
        client.call("iam", "AttachRolePolicy", RoleName=role, PolicyArn=arn)
        return Observed(id, Map(RoleName=role, PolicyArn=arn))

    def _attached(self, client: Aws, role: str, arn: str) -> bool:
        rows = client.listed("iam", "ListAttachedRolePolicies", "AttachedPolicies", RoleName=role)
        return any(p["PolicyArn"] == arn for p in rows)

    def _look_at(self, client: Aws, id: str) -> Observed | None:
        role, _, arn = id.partition("/")
        try:
            found = self._attached(client, role, arn)
        except NotFound:
            return None
        return Observed(id, Map(RoleName=role, PolicyArn=arn)) if found else None

    async def read(self, client: Aws, recorded: ResourceState) -> Observed | None:
        return await client.run(self._look_at, client, recorded.id)

    async def read_many(self, client: Aws, recorded: Sequence[ResourceState]) -> Mapping[str, Observed]:
        roles, whole = await client.run(ROLE._list, client, len(recorded))
        found: dict[str, Observed] = {}
        for r in recorded:
            role, _, arn = r.id.partition("/")
            told = roles.get(role)
            if told is not None:
                seen = any(p["PolicyArn"] == arn for p in told.get("AttachedManagedPolicies", ()))
                answer = Observed(r.id, Map(RoleName=role, PolicyArn=arn)) if seen else None
            else:
                answer = None if whole else await self.read(client, r)
            if answer is not None:
                found[r.id] = answer
        return found

    async def find(self, client: Aws, desired: Desired, token: str) -> Observed | None:
        return await client.run(self._look_at, client, self.id_of(client, desired.attributes))

    async def adopt(self, client: Aws, id: str) -> Observed | None:
        return await client.run(self._look_at, client, id)

    def _delete(self, client: Aws, recorded: ResourceState) -> None:
        role, _, arn = recorded.id.partition("/")
        client.call("iam", "DetachRolePolicy", RoleName=role, PolicyArn=arn)


ATTACHMENT = Attachment(
    Table(
        type="aws.iam_role_policy_attachment",
        cloudformation="",
        service="iam",
        create="AttachRolePolicy",
        read="ListAttachedRolePolicies",
        delete="DetachRolePolicy",
        extra={
            "properties": {"RoleName": {"type": "string"}, "PolicyArn": {"type": "string"}},
            "required": ["RoleName", "PolicyArn"],
        },
        immutable={"RoleName": _RELATION, "PolicyArn": _RELATION},
    )
)


class InstanceProfile(TableType):
    """``aws.iam_instance_profile``: what hands a role to an instance. It holds one role."""

    reshaped = frozenset({"Roles"})

    def _complete(self, client: Aws, desired: Desired, observed: Observed) -> None:
        client.made[observed.id] = client.made[str(observed.attributes["Arn"])] = time.monotonic()
        for role in desired.attributes.get("Roles") or ():
            with suppress(AlreadyExists):
                client.insist("iam", "AddRoleToInstanceProfile", InstanceProfileName=observed.id, RoleName=role)

    def _complete_half(self, client: Aws, found: Observed, desired: Desired) -> Observed:
        if found.attributes.get("Roles") != desired.attributes.get("Roles"):
            self._complete(client, desired, found)
        return Observed(found.id, Map({**found.attributes, "Roles": desired.attributes.get("Roles")}))

    def _properties(self, client: Aws, id: str, raw: Raw, names: frozenset[str]) -> dict[str, Value]:
        found = super()._properties(client, id, raw, names - {"Roles"})
        if "Roles" in names:
            found["Roles"] = tuple([r["RoleName"] for r in raw.get("Roles", ())])
        return found

    def _update(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> None:
        for role in (self._look(client, recorded.id) or {}).get("Roles", ()):
            with suppress(NotFound):
                client.insist("iam", "RemoveRoleFromInstanceProfile", InstanceProfileName=recorded.id, RoleName=role["RoleName"])
        for role in desired.attributes.get("Roles") or ():
            client.insist("iam", "AddRoleToInstanceProfile", InstanceProfileName=recorded.id, RoleName=role)

    def _delete(self, client: Aws, recorded: ResourceState) -> None:
        for role in (self._look(client, recorded.id) or {}).get("Roles", ()):
            with suppress(NotFound):
                client.insist("iam", "RemoveRoleFromInstanceProfile", InstanceProfileName=recorded.id, RoleName=role["RoleName"])
        client.call("iam", "DeleteInstanceProfile", InstanceProfileName=recorded.id)


INSTANCE_PROFILE = InstanceProfile(
    Table(
        type="aws.iam_instance_profile",
        cloudformation="AWS::IAM::InstanceProfile",
        service="iam",
        name="InstanceProfileName",
        create="CreateInstanceProfile",
        read="GetInstanceProfile",
        update="AddRoleToInstanceProfile",
        delete="DeleteInstanceProfile",
        made="InstanceProfile",
        found="InstanceProfile",
        computed={"Arn": "Arn"},
        arn="Arn",
        tags=Tags(
            inside="Tags", by="InstanceProfileName", of="id", add="TagInstanceProfile", remove="UntagInstanceProfile",
            list="ListInstanceProfileTags",
        ),
        limit=128,
    )
)  # fmt: skip
