"""ECR repositories."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import Map, Value
from mlinfra.provider.failures import Invalid, NotFound
from mlinfra_aws.client import Aws
from mlinfra_aws.engine.answers import Raw
from mlinfra_aws.engine.listed import ListedType
from mlinfra_aws.engine.table import Listing, Table
from mlinfra_aws.engine.tags import Tags
from mlinfra_aws.engine.translate import document, parsed, to_api


class Repository(ListedType):
    """``aws.ecr_repository``. ``EmptyOnDelete`` lets a delete take the images along."""

    reshaped = frozenset({"LifecyclePolicy", "RepositoryPolicyText"})

    def _complete(self, client: Aws, desired: Desired, observed: Observed) -> None:
        self._apart(client, observed.id, desired.attributes, frozenset(desired.attributes))

    def _complete_half(self, client: Aws, found: Observed, desired: Desired) -> Observed:
        late = frozenset(n for n in self.reshaped if n in desired.attributes)
        self._apart(client, found.id, desired.attributes, late)
        return Observed(found.id, Map({**found.attributes, **{n: desired.attributes[n] for n in late}}))

    def _apart(self, client: Aws, name: str, wanted: Map, changed: frozenset[str]) -> None:
        """What has an operation of its own."""
        if "LifecyclePolicy" in changed:
            text = (wanted.get("LifecyclePolicy") or {}).get("LifecyclePolicyText")
            if text:
                text = text if isinstance(text, str) else document(text)
                client.insist("ecr", "PutLifecyclePolicy", repositoryName=name, lifecyclePolicyText=text)
            else:
                with suppress(NotFound):
                    client.insist("ecr", "DeleteLifecyclePolicy", repositoryName=name)
        if "RepositoryPolicyText" in changed:
            policy = wanted.get("RepositoryPolicyText")
            if policy:
                text = policy if isinstance(policy, str) else document(policy)
                client.insist("ecr", "SetRepositoryPolicy", repositoryName=name, policyText=text)
            else:
                with suppress(NotFound):
                    client.insist("ecr", "DeleteRepositoryPolicy", repositoryName=name)

    def _properties(self, client: Aws, id: str, raw: Raw, names: frozenset[str]) -> dict[str, Value]:
        found = super()._properties(client, id, raw, names - self.reshaped)
        for name, operation, member in (
            ("LifecyclePolicy", "GetLifecyclePolicy", "lifecyclePolicyText"),
            ("RepositoryPolicyText", "GetRepositoryPolicy", "policyText"),
        ):
            if name in names:
                found[name] = self._policy(client, id, name, operation, member)
        return found

    def _policy(self, client: Aws, id: str, name: str, operation: str, member: str) -> Value:
        try:
            text = client.insist("ecr", operation, repositoryName=id)[member]
        except (NotFound, Invalid):
            return None
        return Map(LifecyclePolicyText=text) if name == "LifecyclePolicy" else parsed(text)

    def _update(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> None:
        name, wanted = recorded.id, desired.attributes
        if changed & {"ImageTagMutability", "ImageTagMutabilityExclusionFilters"}:
            sent = self._parameters(client, "PutImageTagMutability", wanted)
            client.insist("ecr", "PutImageTagMutability", **{"imageTagMutability": "MUTABLE", **sent, "repositoryName": name})
        if "ImageScanningConfiguration" in changed:
            scanning: Any = wanted.get("ImageScanningConfiguration") or Map(ScanOnPush=False)
            from mlinfra_aws.models import input_shape

            shape = input_shape("ecr", "PutImageScanningConfiguration").members["imageScanningConfiguration"]
            client.insist(
                "ecr", "PutImageScanningConfiguration", repositoryName=name, imageScanningConfiguration=to_api(shape, scanning)
            )
        self._apart(client, name, wanted, changed)

    def _delete(self, client: Aws, recorded: ResourceState) -> None:
        force = bool(recorded.attributes.get("EmptyOnDelete"))
        client.call("ecr", "DeleteRepository", repositoryName=recorded.id, force=force)


REPOSITORY = Repository(
    Table(
        type="aws.ecr_repository",
        cloudformation="AWS::ECR::Repository",
        service="ecr",
        name="RepositoryName",
        key="repositoryName",
        create="CreateRepository",
        read="DescribeRepositories",
        update="PutImageTagMutability",
        delete="DeleteRepository",
        made="repository",
        found="repositories.0",
        computed={"Arn": "repositoryArn", "RepositoryUri": "repositoryUri"},
        arn="Arn",
        tags=Tags(at_create="tags", by="resourceArn", items="tags", param="tags", keys="tagKeys"),
        listing=Listing(operation="DescribeRepositories", items="repositories", id="repositoryName", gives="all"),
        silent=("EmptyOnDelete",),
        alphabet="a-z0-9",
        limit=256,
        holds_data=True,
    )
)
