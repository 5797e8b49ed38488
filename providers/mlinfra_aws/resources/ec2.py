"""What EC2's types share: EC2 gives the ids, objects are found by their tags, and one call describes many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlinfra.model.resource import Desired
from mlinfra_aws.client import Aws
from mlinfra_aws.engine import tags as tagging
from mlinfra_aws.engine.answers import Raw, dig
from mlinfra_aws.engine.listed import ListedType
from mlinfra_aws.engine.tags import Tags


def tags(kind: str) -> Tags:
    return Tags(inside="Tags", by="Resources", of="id", add="CreateTags", remove="DeleteTags", keys="Tags", type=kind)


class Ec2Type(ListedType):
    """What EC2 describes by ids and by tags. One describe call reads all of a type that are recorded."""

    def _list(self, client: Aws, most: int) -> tuple[dict[str, Raw], bool]:
        """Those of this project and environment, by their marks."""
        mine = [
            {"Name": "tag:mlinfra:project", "Values": [client.project]},
            {"Name": "tag:mlinfra:env", "Values": [client.environment]},
        ]
        return {str(self._id(raw)): raw for raw in self._described(client, Filters=mine)}, False

    def _described(self, client: Aws, **parameters: Any) -> list[Raw]:
        listing = self.table.listing
        assert listing is not None
        return client.listed("ec2", listing.operation, listing.items, **parameters)

    def _id(self, raw: Raw) -> Any:
        assert self.table.listing is not None
        return dig(raw, self.table.listing.id)

    def _search(self, client: Aws, desired: Desired, token: str) -> str:
        found = self._described(client, Filters=[{"Name": f"tag:{tagging.OP}", "Values": [token]}])
        return next((str(self._id(raw)) for raw in found if not self._is_over(raw)), "")

    def _is_over(self, raw: Raw) -> bool:
        """Whether EC2 still tells of what is deleted already."""
        return False

    def _look(self, client: Aws, id: str, call: Callable[..., Any] | None = None) -> Raw | None:
        raw = super()._look(client, id, call)
        return None if raw is None or self._is_over(raw) else raw
