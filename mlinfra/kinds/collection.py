"""``collection``: fields, indexes and partitions of vectors in a vector database, and the alias that applications use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from mlinfra.kinds import collection_rules as rules
from mlinfra.kinds.base import Bool, Deferrable, Int, Kind, Model, RefTo, Seconds, Str
from mlinfra.model.values import EMPTY, Map, freeze

FieldType = Annotated[
    Literal[
        "bool", "int8", "int16", "int32", "int64", "float", "double", "varchar", "json", "array",
        "float_vector", "float16_vector", "bfloat16_vector", "int8_vector", "binary_vector", "sparse_float_vector",
    ],
    Deferrable(),
]  # fmt: skip
ElementType = Annotated[
    Literal["bool", "int8", "int16", "int32", "int64", "float", "double", "varchar"],
    Deferrable(),
]
IndexType = Annotated[
    Literal[
        "AUTOINDEX", "FLAT", "IVF_FLAT", "IVF_SQ8", "IVF_PQ", "IVF_RABITQ", "HNSW", "HNSW_SQ", "HNSW_PQ", "HNSW_PRQ", "DISKANN",
        "SCANN", "GPU_BRUTE_FORCE", "GPU_IVF_FLAT", "GPU_IVF_PQ", "GPU_CAGRA", "BIN_FLAT", "BIN_IVF_FLAT",
        "SPARSE_INVERTED_INDEX", "SPARSE_WAND", "INVERTED", "TRIE", "STL_SORT", "BITMAP",
    ],
    Deferrable(),
]  # fmt: skip
Metric = Annotated[
    Literal["COSINE", "L2", "IP", "HAMMING", "JACCARD", "SUBSTRUCTURE", "SUPERSTRUCTURE", "BM25"],
    Deferrable(),
]


class _Part(Model):
    def given(self) -> Map:
        """What was written, defaults left out; deferred leaves stay as they are."""
        return Map({k: freeze(v) for k in type(self).model_fields if (v := getattr(self, k)) is not None and v is not False})


class Field(_Part):
    """One field. ``dim`` in dimensions, ``max_length`` in bytes of UTF-8, ``max_capacity`` in elements. ``analyzer`` makes a
    varchar searchable by words (``true``, or Milvus's analyzer settings), ``match`` allows TEXT_MATCH on it."""

    type: FieldType
    primary: Bool = False
    auto_id: Bool = False
    max_length: Int | None = None
    dim: Int | None = None
    nullable: Bool = False
    default: Any = None
    partition_key: Bool = False
    clustering_key: Bool = False
    element_type: ElementType | None = None
    max_capacity: Int | None = None
    analyzer: Any = None
    match: Bool = False
    description: Str | None = None

    def given(self) -> Map:
        default = {} if self.default is None else {"default": freeze(self.default)}
        return Map({**super().given(), **default})


class Index(_Part):
    """An index. ``type`` and ``metric`` default to what suits the field; ``params`` are Milvus's own, of that index type."""

    type: IndexType | None = None
    metric: Metric | None = None
    params: dict[str, Any] | None = None


class Function(_Part):
    """A function that the database applies to rows as they come in: ``BM25`` turns a varchar into a sparse vector."""

    type: Annotated[Literal["BM25"], Deferrable()]
    inputs: tuple[Str, ...]
    outputs: tuple[Str, ...]


class Properties(_Part):
    """``ttl``: rows disappear this long after they were written; ``mmap``: data is mapped from disk instead of held in memory."""

    ttl: Seconds | None = None
    mmap: Bool | None = None

    def given(self) -> Map:
        return Map({k: v for k, v in (("ttl", self.ttl), ("mmap", self.mmap)) if v is not None})


class Collection(Kind):
    """A collection of vectors. With ``alias``, applications search through it: a change that needs a new collection builds it
    beside the old one, then the alias moves. Every vector field has an index, by default one that suits it.

    ``made`` is another value when the collection was made anew: a step that fills it reads it to be run again.
    ``name`` is the base of the physical name; ``shards``, ``num_partitions`` and ``consistency`` default to the server's."""

    summary: ClassVar[str] = "fields, indexes, partitions and alias of a Milvus collection"
    outputs: ClassVar[Mapping[str, str]] = {
        "id": "string",
        "name": "string",
        "alias": "string",
        "uri": "string",
        "database": "string",
        "made": "string",
    }

    database: Annotated[Any, RefTo(("vector_database",))]
    fields: dict[str, Field]
    name: Str | None = None
    indexes: dict[str, Index] = EMPTY
    functions: dict[str, Function] = EMPTY
    partitions: tuple[Str, ...] = ()
    num_partitions: Int | None = None
    shards: Int | None = None
    dynamic_fields: Bool = False
    consistency: Annotated[Literal["strong", "bounded", "session", "eventually"], Deferrable()] | None = None
    properties: Properties | None = None
    alias: Str | None = None

    def given(self) -> Map:
        """The collection as a plain tree, defaults left out: what :mod:`mlinfra.kinds.collection_rules` checks."""
        tree: dict[str, Any] = {
            "fields": Map({name: field.given() for name, field in self.fields.items()}),
            "indexes": Map({name: index.given() for name, index in self.indexes.items()}),
            "functions": Map({name: function.given() for name, function in self.functions.items()}),
            "partitions": self.partitions,
            "properties": self.properties.given() if self.properties else Map(),
        }
        for name in ("name", "num_partitions", "shards", "dynamic_fields", "consistency", "alias"):
            if (value := getattr(self, name)) is not None:
                tree[name] = value
        return Map(tree)

    @model_validator(mode="after")
    def _rules(self) -> Collection:
        problems = rules.problems(self.given())
        if problems:
            raise ValidationError.from_exception_data(
                "collection",
                [
                    InitErrorDetails(
                        type=PydanticCustomError("collection", "{problem}", {"problem": sentence}), loc=path, input=None
                    )
                    for path, sentence in problems
                ],
            )
        return self
