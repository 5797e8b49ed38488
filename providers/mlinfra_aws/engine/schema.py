"""From a table and CloudFormation's schema to the schema that the engine diffs by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from mlinfra.model.schema import Attribute, Schema, TypeName
from mlinfra.model.values import Map, Value, is_known
from mlinfra_aws.engine.published import Fragment, Published, _read, published
from mlinfra_aws.engine.table import Table
from mlinfra_aws.engine.tags import with_tags
from mlinfra_aws.engine.translate import same

_TYPES: Mapping[str, TypeName] = {
    "string": "string",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "array": "list",
    "object": "map",
}

_TAGS: Fragment = {
    "type": "array",
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["Key", "Value"],
        "properties": {
            "Key": {"type": "string", "minLength": 1, "maxLength": 128},
            "Value": {"type": "string", "maxLength": 256},
        },
    },
}
Predict = Callable[[Map], Mapping[str, Value]]


def describe(table: Table) -> Published:
    """CloudFormation's schema of the type; for what CloudFormation has not, the table's own."""
    if table.cloudformation:
        found = published(table.cloudformation)
        assert found is not None, (
            f"data/cloudformation.json has no {table.cloudformation}: run scripts/condense_cloudformation.py"
        )
        return found
    return _read(f"{table.service}:{table.create}", table.extra, "botocore's service models", "")


def offered(table: Table, schema: Published) -> dict[str, Fragment]:
    """The properties that may be given, with their schemas."""
    names = table.only or [n for n in schema.properties if n not in schema.read_only and n not in table.without]
    given = {n: schema.properties[n] for n in names if n in schema.properties}
    if table.cloudformation:
        given.update(table.extra.get("properties", {}))
    if table.tags is not None:  # CloudFormation lacks them on some types that AWS does tag
        given.setdefault(table.tags.attribute, _TAGS)
    return given


def build(table: Table, schema: Published, predict: Predict | None = None) -> Schema:
    """The engine's schema of the type."""
    attributes: dict[str, Attribute] = {}
    for name, fragment in offered(table, schema).items():
        resolved = schema.resolve(fragment)
        kinds = resolved.get("type")
        kind: TypeName = _TYPES.get(kinds, "any") if isinstance(kinds, str) else "any"
        tags = table.tags is not None and name == table.tags.attribute
        derived = name == table.name
        by_cloud = name in schema.create_only
        source = schema.cites if by_cloud and table.cloudformation else table.immutable.get(name, "")
        attributes[name] = Attribute(
            type=kind,
            required=name in schema.required and not derived,
            computed=derived or tags or name in table.defaults,
            immutable=by_cloud or name in table.immutable,
            source=source or (table.immutable.get(name) or f"{table.service}:{table.create} has no update" if by_cloud else ""),
            sensitive=name in table.secret,
            write_only=(name in schema.write_only and name not in table.reads) or name in table.silent,
            unordered=tags,
            same=same,
            description=str(resolved.get("description", "")),
        )
    for name in table.computed:
        if name not in attributes:
            attributes[name] = Attribute(type="any", computed=True, read_only=True, volatile=name in table.volatile)
    if table.listing and table.listing.stamp:
        attributes[table.listing.stamp] = Attribute(type="string", computed=True, read_only=True, volatile=True)
    return Schema(
        attributes=attributes,
        predict=_predict(table, predict),
        holds_data=table.holds_data,
        serves=table.serves,
        costs=table.costs,
        create_first=table.create_first,
        named_by=table.name,
        inside=table.inside,
        tagged=partial(with_tags, table.tags) if table.tags else None,
        description=f"{table.cloudformation or table.service + ':' + table.create}",
    )


def _predict(table: Table, more: Predict | None) -> Predict:
    def predict(attributes: Map) -> Mapping[str, Value]:
        found: dict[str, Value] = {}
        if not attributes:  # an import: what stands is not known yet
            return found
        if table.tags is not None and attributes.get(table.tags.attribute) is None:
            found[table.tags.attribute] = Map() if table.tags.written == "map" else ()
        for name, value in table.defaults.items():
            if attributes.get(name) is None:
                found[name] = value
        if more is not None:
            found.update(more(attributes))
        return found

    return predict


def known_text(value: Value) -> str | None:
    """The value where it is a text that is known, for predictions."""
    return value if isinstance(value, str) and is_known(value) else None
