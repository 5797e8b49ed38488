"""``aws.launch_template``: a change is a new version, which becomes the default."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import Map
from mlinfra_aws.client import Aws
from mlinfra_aws.engine.answers import Raw
from mlinfra_aws.engine.table import Listing, Table
from mlinfra_aws.resources.ec2 import Ec2Type, tags


class LaunchTemplate(Ec2Type):
    """``aws.launch_template``. A changed content is a new version, which becomes the default one."""

    def _look(self, client: Aws, id: str, call: Callable[..., Any] | None = None) -> Raw | None:
        raw = super()._look(client, id, call)
        if raw is None:
            return None
        versions = (call or client.call)("ec2", "DescribeLaunchTemplateVersions", LaunchTemplateId=id, Versions=["$Default"])
        newest = versions["LaunchTemplateVersions"][0]
        return {**raw, "LaunchTemplateData": newest["LaunchTemplateData"], "VersionDescription": newest.get("VersionDescription")}

    def _by_item(self, client: Aws, r: ResourceState, item: Raw, tagged: Any) -> Observed | None:
        """The list tells all but the content: a version number that has not moved says that it is the same."""
        same = item.get("LatestVersionNumber") == r.attributes.get("LatestVersionNumber")
        if not same or item.get("DefaultVersionNumber") != item.get("LatestVersionNumber"):
            return None
        content = {k: r.attributes[k] for k in ("LaunchTemplateData", "VersionDescription") if k in r.attributes}
        seen = self._seen(client, r, {**item, **content})
        return Observed(seen.id, Map({**seen.attributes, **content}))

    def _read_listed(self, client: Aws, r: ResourceState, item: Raw | None) -> Observed | None:
        return self._read_with(client, r, client.insist)

    def _update(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> None:
        sent = self._parameters(client, "CreateLaunchTemplateVersion", desired.attributes)
        sent.pop("LaunchTemplateName", None)
        answer = client.call("ec2", "CreateLaunchTemplateVersion", **{**sent, "LaunchTemplateId": recorded.id})
        number = str(answer["LaunchTemplateVersion"]["VersionNumber"])
        client.insist("ec2", "ModifyLaunchTemplate", LaunchTemplateId=recorded.id, DefaultVersion=number)


LAUNCH_TEMPLATE = LaunchTemplate(
    Table(
        type="aws.launch_template",
        cloudformation="AWS::EC2::LaunchTemplate",
        service="ec2",
        name="LaunchTemplateName",
        id="LaunchTemplateId",
        key="LaunchTemplateId",
        create="CreateLaunchTemplate",
        read="DescribeLaunchTemplates",
        update="CreateLaunchTemplateVersion",
        delete="DeleteLaunchTemplate",
        made="LaunchTemplate",
        found="LaunchTemplates.0",
        without=("TagSpecifications",),
        reads=("LaunchTemplateData", "VersionDescription"),
        computed={"LaunchTemplateId": "LaunchTemplateId", "LatestVersionNumber": "LatestVersionNumber"},
        volatile=("LatestVersionNumber",),
        arn="LaunchTemplateId",
        tags=tags("launch-template"),
        listing=Listing(operation="DescribeLaunchTemplates", items="LaunchTemplates", id="LaunchTemplateId", gives="all"),
        reread=True,
        alphabet=r"a-zA-Z0-9().\-/_",
        limit=128,
    )
)
