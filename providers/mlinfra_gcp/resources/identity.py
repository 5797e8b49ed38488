"""``gcp.service_account`` and ``gcp.project_iam_member``.

https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts,
https://cloud.google.com/resource-manager/reference/rest/v3/projects/setIamPolicy
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Path, Value, freeze, thaw
from mlinfra.provider.bodies import value_problems
from mlinfra.provider.failures import AlreadyExists, Invalid
from mlinfra.provider.ownership import Owner
from mlinfra_gcp.client import GcpClient
from mlinfra_gcp.documents import document
from mlinfra_gcp.engine.resource import TableType
from mlinfra_gcp.marks import label_value
from mlinfra_gcp.table import Body, Row


def email(attributes: Map) -> str:
    """A service account's address; empty while it is not known."""
    name, project = attributes.get("name"), attributes.get("project")
    if not isinstance(name, str) or not isinstance(project, str):
        return ""
    domain, _, short = project.rpartition(":")
    return f"{name}@{short}{'.' + domain if domain else ''}.iam.gserviceaccount.com"


def _predict(attributes: Map) -> Mapping[str, Value]:
    found = email(attributes)
    return {"email": found, "member": f"serviceAccount:{found}"} if found else {}


class ServiceAccount(TableType):
    """A service account; ``name`` is its account id."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="gcp.service_account",
                doc="iam.v1",
                collection="projects.serviceAccounts",
                schema="ServiceAccount",
                scope="project",
                chosen="accountId",
                wrap=("serviceAccount", "accountId"),
                marks=("description",),
                limit=256,
                listed="accounts",
                tail=email,
                extra={"email": lambda b: b["email"], "member": lambda b: f"serviceAccount:{b['email']}"},
                predict=_predict,
                name_pattern=r"[a-z][a-z0-9-]{4,28}[a-z0-9]",
            )
        )

    def patch_body(self, body: Body, names: Sequence[str], recorded: ResourceState) -> Body:
        return {"serviceAccount": body, "updateMask": ",".join(names)}

    async def _patch(self, client: GcpClient, recorded: ResourceState, *rest: Any) -> None:
        # here the mask stands in the body
        wanted, names, live, _ = rest
        body: Body = {n: wanted[n] for n in names if wanted.get(n) is not None}
        if "description" in names:
            self._mark(client, body, *self._marks_of(live, client, recorded))
        await client.call(
            self.row.doc, "projects.serviceAccounts.patch", {"name": recorded.id}, self.patch_body(body, names, recorded)
        )


_DOC = "cloudresourcemanager.v3"
_BASIC = ("roles/owner", "roles/editor", "roles/viewer")
_ALWAYS = 'request.time < timestamp("2999-01-01T00:00:00Z")'


class ProjectIamMember:
    """One member in one role of the project's policy: read, changed and written with its etag; nobody else's binding is touched.

    The policy has no place for a mark but a binding's condition. Where the person gives none, ours is always true, and its
    description says whose the binding is: two stacks can grant the same role to the same member, and each takes away its own.
    Basic roles and public members take no conditions: there what is found is taken to be ours (docs/decisions/0061)."""

    schema = Schema(
        attributes={
            "project": Attribute(type="string", computed=True, immutable=True, source="whose policy it is"),
            "role": Attribute(type="string", required=True, immutable=True, source="a binding is made or taken away, never changed"),
            "member": Attribute(type="string", required=True, immutable=True, source="a binding is made or taken away, never changed"),
            "condition": Attribute(type="map", immutable=True, source="a binding with another condition is another binding"),
            "title": Attribute(type="string", computed=True),
            "id": Attribute(type="string", computed=True),
        },
        description="one member of one role of the project",
    )  # fmt: skip

    async def read(self, client: GcpClient, recorded: ResourceState) -> Observed | None:
        return await self._seen(client, *_split(recorded.id), recorded.attributes)

    async def create(self, client: GcpClient, desired: Desired, token: str) -> Observed:
        wanted = desired.attributes
        project = str(wanted.get("project") or client.project)
        condition = _condition(wanted, client.owner(desired.address, token))
        title = condition["title"] if condition else ""
        role, member = str(wanted["role"]), str(wanted["member"])
        policy = await _policy(client, project)
        if _binding(policy, role, member, title) is not None:
            found = _binding(policy, role, member, title)
            if not (found and condition and token in found.get("condition", {}).get("description", "")):
                raise AlreadyExists(f"{member} has {role} in {project} already", import_id=_id(project, role, member, title))
        else:
            policy.setdefault("bindings", []).append(
                {"role": role, "members": [member], **({"condition": condition} if condition else {})}
            )
            await _write(client, project, policy)
        seen = await self._seen(client, project, role, member, title, wanted)
        assert seen is not None
        return seen

    async def update(self, client: GcpClient, recorded: ResourceState, desired: Desired) -> Observed:
        seen = await self.read(client, recorded)
        if seen is None:
            raise Invalid(f"{recorded.id} is gone")
        return seen

    async def delete(self, client: GcpClient, recorded: ResourceState) -> None:
        project, role, member, title = _split(recorded.id)
        policy = await _policy(client, project)
        binding = _binding(policy, role, member, title)
        if binding is None:
            return
        binding["members"] = [m for m in binding["members"] if m != member]
        policy["bindings"] = [b for b in policy["bindings"] if b.get("members")]
        await _write(client, project, policy)

    async def find(self, client: GcpClient, desired: Desired, token: str) -> Observed | None:
        wanted = desired.attributes
        project = str(wanted.get("project") or client.project)
        policy = await _policy(client, project)
        condition = _condition(wanted, client.owner(desired.address, token))
        title = condition["title"] if condition else ""
        found = _binding(policy, str(wanted["role"]), str(wanted["member"]), title)
        marked = condition is not None and "condition" not in wanted
        if found is None or (marked and token not in found["condition"].get("description", "")):
            return None
        return await self._seen(client, project, str(wanted["role"]), str(wanted["member"]), title, wanted)

    async def adopt(self, client: GcpClient, id: str) -> Observed | None:
        return await self._seen(client, *_split(id), None)

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        found: list[tuple[Path, str]] = []
        role, member = attributes.get("role"), attributes.get("member")
        if isinstance(role, str) and not role.startswith(("roles/", "projects/", "organizations/")):
            found.append((("role",), f"{role!r} is no role; write it like roles/aiplatform.user"))
        kinds = (
            "user:",
            "serviceAccount:",
            "group:",
            "domain:",
            "principal://",
            "principalSet://",
            "allUsers",
            "allAuthenticatedUsers",
        )
        if isinstance(member, str) and not member.startswith(kinds):
            found.append(
                (("member",), f"{member!r} is no member; write it like serviceAccount:NAME@PROJECT.iam.gserviceaccount.com")
            )
        if "condition" in attributes:
            found.extend(value_problems(document(_DOC), {"ref": "Expr"}, attributes["condition"], at=("condition",)))
        return found

    async def _seen(
        self, client: GcpClient, project: str, role: str, member: str, title: str, wanted: Map | None
    ) -> Observed | None:
        binding = _binding(await _policy(client, project), role, member, title)
        if binding is None:
            return None
        out: dict[str, Value] = {
            "project": project,
            "role": role,
            "member": member,
            "title": title,
            "id": _id(project, role, member, title),
        }
        if (wanted is None or "condition" in wanted) and "condition" in binding:
            out["condition"] = freeze(binding["condition"])
        return Observed(str(out["id"]), Map(out))


def _condition(wanted: Map, owner: Owner) -> dict[str, Any] | None:
    if wanted.get("condition"):
        found: dict[str, Any] = thaw(wanted["condition"])
        return {"title": "", **found}
    if wanted["role"] in _BASIC or str(wanted["member"]).startswith("all"):
        return None
    place = label_value("-".join(p for p in (owner.project, owner.environment, owner.address) if p))
    return {"title": f"mlinfra-{place}"[:100], "description": owner.line(label_value), "expression": _ALWAYS}


def _id(project: str, role: str, member: str, title: str) -> str:
    return " ".join(filter(None, (project, role, member, title)))


def _split(id: str) -> tuple[str, str, str, str]:
    parts = id.split(" ", 3)
    if len(parts) < 3:
        raise Invalid(f"{id!r} is no binding; write it as 'PROJECT ROLE MEMBER', with its condition's title where it has one")
    return parts[0], parts[1], parts[2], parts[3] if len(parts) > 3 else ""


def _binding(policy: Mapping[str, Any], role: str, member: str, title: str) -> dict[str, Any] | None:
    for binding in policy.get("bindings", ()):
        same = binding.get("condition", {}).get("title", "") == title
        if binding["role"] == role and member in binding.get("members", ()) and same:
            return dict(binding) if not isinstance(binding, dict) else binding
    return None


async def _policy(client: GcpClient, project: str) -> dict[str, Any]:
    return await client.call(
        _DOC, "projects.getIamPolicy", {"resource": f"projects/{project}"}, {"options": {"requestedPolicyVersion": 3}}
    )


async def _write(client: GcpClient, project: str, policy: dict[str, Any]) -> None:
    body = {"policy": {**policy, "version": 3}}
    await client.call(_DOC, "projects.setIamPolicy", {"resource": f"projects/{project}"}, body)
