"""Types of which one list call tells many objects at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from mlinfra.model.resource import Observed, ResourceState
from mlinfra.model.values import Map
from mlinfra_aws.client import Aws
from mlinfra_aws.engine.answers import Raw, time_text
from mlinfra_aws.engine.resource import TableType


class ListedType(TableType):
    """A type of which one list call tells many at once."""

    async def read_many(self, client: Aws, recorded: Sequence[ResourceState]) -> Mapping[str, Observed]:
        listed, whole = await client.run(self._list, client, len(recorded))
        tagged = await client.run(client.tagged) if self._sweeps(recorded) else None
        found: dict[str, Observed] = {}
        unclear: list[ResourceState] = []
        for r in recorded:
            item = listed.get(r.id)
            if item is None:
                if not whole:
                    unclear.append(r)
            elif (seen := self._by_item(client, r, item, tagged)) is not None:
                found[r.id] = seen
            else:
                unclear.append(r)
        read = await asyncio.gather(*[client.run(self._read_listed, client, r, listed.get(r.id)) for r in unclear])
        found.update({r.id: seen for r, seen in zip(unclear, read, strict=True) if seen is not None})
        return {r.id: found[r.id] for r in recorded if r.id in found}

    def _sweeps(self, recorded: Sequence[ResourceState]) -> bool:
        return self.table.tags is not None and not self.table.tags.inside

    def _by_item(
        self, client: Aws, r: ResourceState, item: Raw, tagged: Mapping[str, Mapping[str, str]] | None
    ) -> Observed | None:
        """The object by what the list tells; None: it has to be read."""
        listing, tags = self.table.listing, self.table.tags
        assert listing is not None
        swept = None
        if tags is not None and not tags.inside:
            swept = (tagged or {}).get(self.arn_of(client, Observed(r.id, r.attributes)))
            if swept is None or self._tags_shown(client, swept, r.attributes.get(tags.attribute)) != r.attributes.get(
                tags.attribute
            ):
                return None
        if listing.gives == "all":
            return self._seen(client, r, item)
        if listing.gives == "stamp" and (
            not r.attributes.get(listing.stamp) or time_text(item.get(listing.stamp)) != r.attributes[listing.stamp]
        ):
            return None
        if listing.gives == "existence" and tags is not None and swept is None:
            return None
        kept = {k: v for k, v in r.attributes.items() if k in self.schema.attributes}
        return Observed(r.id, Map(kept))

    def _read_listed(self, client: Aws, r: ResourceState, item: Raw | None) -> Observed | None:
        listing = self.table.listing
        assert listing is not None
        if item is not None and listing.gives == "all":
            return self._seen(client, r, item)
        return self._read_with(client, r, client.insist)
