"""``collection`` on every target: ``milvus.collection``, and ``milvus.alias`` that moves when everything else is done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mlinfra.kinds.collection import Collection
from mlinfra.kinds.collection_rules import with_default_indexes
from mlinfra.model.dataclass import replace
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.resource import Resource
from mlinfra.model.values import EMPTY, Map, Ref, is_known
from mlinfra.provider.contract import Lowered, LoweringContext, LoweringError
from mlinfra.provider.naming import digest_of, physical_name
from mlinfra_milvus import zilliz
from mlinfra_milvus.lite import Lack, lacks

_CONTENT = ("fields", "functions", "dynamic_fields", "shards", "num_partitions", "consistency", "indexes")
"""What a collection behind an alias is named after: a change of it is built beside the old one."""


def lower(spec: Collection, context: LoweringContext) -> Lowered:
    """A collection called after its address (or ``name``), with a digest of its content when there is an alias; then both the
    old and the new one can stand side by side while the alias moves."""
    asked = spec.given()
    tree = Map({**asked, "indexes": with_default_indexes(asked)})
    server = spec.database
    if server.get("engine") == "milvus-lite":
        _refuse(context, lacks(tree))
    elif server.get("engine") == "zilliz":
        _refuse(context, zilliz.lacks(asked))
        tree = Map({**tree, "indexes": zilliz.with_its_indexes(tree["fields"], tree["indexes"])})
    base = spec.name or physical_name("", "", context.named, separator="_", allowed="a-z0-9_", limit=200)
    generation = _generation(spec, tree, context)
    name = f"{base}_{generation}" if generation else base
    where = {"uri": server.get("uri"), "database": server.get("database") or "default", "token": server.get("token")}
    collection = context.resource(
        "milvus.collection",
        {
            **where,
            "name": name,
            "generation": generation,
            **{key: tree[key] for key in _CONTENT if tree.get(key) not in (None, EMPTY)},
            "partitions": spec.partitions,
            "properties": tree["properties"],
            "description": context.component.description or None,
        },
        provider="milvus",
    )
    resources = [_ordered(collection, spec, context)]
    if spec.alias is not None:
        resources.append(
            context.resource(
                "milvus.alias",
                {**where, "alias": spec.alias, "collection": Ref(context.address, ("name",))},
                role="alias",
                provider="milvus",
                settles_after=(context.address,),
            )
        )
    return Lowered(
        resources=tuple(resources),
        outputs=Map(
            {
                "id": Ref(context.address, ("name",)),
                "name": Ref(context.address, ("name",)),
                "alias": Ref(f"{context.address}.alias", ("alias",))
                if spec.alias is not None
                else Ref(context.address, ("name",)),
                "uri": server.get("uri"),
                "database": where["database"],
                "made": Ref(context.address, ("made",)),
            }
        ),
    )


def _generation(spec: Collection, tree: Map, context: LoweringContext) -> str | None:
    if spec.alias is None:
        return None
    content: dict[str, Any] = {key: tree[key] for key in _CONTENT if tree.get(key) not in (None, EMPTY, False)}
    if not is_known(Map(content)) or not is_known(spec.name):
        raise context.error(
            "milvus.unknown_content",
            "a collection with an alias is named after its fields and indexes: they must be known at plan time",
            path=("fields",),
            hint="use variables or constants there, not attributes of resources that do not exist yet",
        )
    return digest_of(Map(content), 10)


def _ordered(collection: Resource, spec: Collection, context: LoweringContext) -> Resource:
    """Without an alias old and new have one name, so that the old one must go first."""
    if spec.alias is not None:
        return collection
    if collection.lifecycle.create_first:
        raise context.error(
            "milvus.create_first_needs_alias",
            "two collections cannot have one name: create_first needs an alias",
            path=("lifecycle",),
            hint="give the collection an alias, and let applications search through it",
        )
    return replace(collection, lifecycle=replace(collection.lifecycle, create_first=False))


def _refuse(context: LoweringContext, missing: Iterable[Lack]) -> None:
    problems: list[Diagnostic] = []
    for lack in missing:
        problems += context.error("milvus.lite_lacks", lack.sentence, path=lack.path, hint=lack.instead).diagnostics
    if problems:
        raise LoweringError(problems)
