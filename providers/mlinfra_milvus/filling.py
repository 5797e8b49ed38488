"""Filling a new collection with the rows of the one that it replaces."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mlinfra.model.values import Map
from mlinfra.provider.progress import say
from mlinfra_milvus.client import Server
from mlinfra_milvus.schema import copied_fields

_BATCH_VALUES = 400_000
"""Numbers in one batch: 1,000 rows of 384 dimensions; 1.6 MB on the wire, far below gRPC's limits."""
_LARGEST_BATCH = 1_000


def copy_rows(server: Server, old: Map, new: Map) -> int:
    """Copy every row that can be copied from the collection ``old`` to ``new`` (their attributes), partition by partition; how many.

    Rows cannot be copied when a field that every row needs is new or changed its type or dimensions: the pipeline makes them
    again. Rows written to the old collection after their batch was read are not seen.
    """
    source, target = str(old["name"]), str(new["name"])
    if server.describe(source) is None:
        return 0
    if not server.is_loaded(source):
        server.load(source)
    total = server.count(source, loaded=True)
    if not total:
        return 0
    fields = copied_fields(old, new)
    if isinstance(fields, str):
        say(f"none of {total:,} rows of {source} can be copied: {fields}")
        return 0
    keyed = any(f.get("partition_key") for c in (old, new) for f in c["fields"].values())
    there = {"_default", *new.get("partitions", ())}
    partitions = [""] if keyed else server.partitions(source)
    done = 0
    for partition in partitions:
        to = partition if partition in there else "_default"
        for rows in server.rows(source, partition, _batch(old)):
            server.insert(target, _taken(rows, fields, old, new), "" if keyed else to)
            done += len(rows)
            say(f"{done:,} of {total:,} rows copied to {target}")
    server.flush(target)
    return done


def _batch(collection: Map) -> int:
    width = sum(int(f.get("dim", 1)) for f in collection["fields"].values())
    return max(1, min(_LARGEST_BATCH, _BATCH_VALUES // max(width, 1)))


def _taken(rows: Iterable[dict[str, Any]], fields: tuple[str, ...], old: Map, new: Map) -> list[dict[str, Any]]:
    """Rows as the new collection takes them: its fields, and what stood beside the old fields where both are dynamic."""
    if not (old.get("dynamic_fields") and new.get("dynamic_fields")):
        return [{k: row[k] for k in fields if k in row} for row in rows]
    beside = old["fields"].keys() | new["fields"].keys()
    return [{k: v for k, v in row.items() if k in fields or k not in beside} for row in rows]
