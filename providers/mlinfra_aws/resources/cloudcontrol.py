"""``aws.resource``: any of CloudFormation's types, by the Cloud Control API.

https://docs.aws.amazon.com/cloudcontrolapi/latest/userguide/. A request is asynchronous: it has a token of its own, and a status that is
asked for until it is done. ``type`` names the type; every other attribute is a property of it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Path, Value, freeze, is_known, thaw
from mlinfra.provider.failures import AlreadyExists, Failure, Invalid, NotFound, Timeout
from mlinfra.provider.limiter import waiting
from mlinfra.provider.progress import say
from mlinfra_aws.client import Aws
from mlinfra_aws.engine import tags as tagging
from mlinfra_aws.engine.checks import by_schema, leaf_in, unknown_name
from mlinfra_aws.engine.published import Published, published
from mlinfra_aws.engine.tags import Tags
from mlinfra_aws.engine.translate import project, same
from mlinfra_aws.faults import Refused, failure_of

_OWN = ("type", "Identifier", "Attributes", "CreateOnly")
_LIMIT = 7200.0
_CODES = {
    "AlreadyExists": "AlreadyExistsException", "NotFound": "ResourceNotFoundException", "Throttling": "ThrottlingException",
    "AccessDenied": "AccessDeniedException", "InvalidCredentials": "UnrecognizedClientException",
    "ServiceLimitExceeded": "ServiceQuotaExceededException", "ResourceConflict": "ConflictException",
    "NotStabilized": "NotStabilized", "InternalFailure": "InternalFailure", "ServiceInternalError": "InternalError",
    "NetworkFailure": "NetworkFailure", "ServiceTimeout": "RequestTimeout", "GeneralServiceException": "InternalServiceError",
}  # fmt: skip
"""Handler error codes (HandlerErrorCode) as the services' own."""


def _predict(attributes: Map) -> Mapping[str, Value]:
    schema = schema_of(attributes)
    if schema is None:
        return {}
    return {"CreateOnly": Map({n: attributes[n] for n in sorted(schema.create_only) if attributes.get(n) is not None})}


def _tagged(attributes: Map, more: Mapping[str, str]) -> Map:
    schema = schema_of(attributes)
    style = tags_of(schema) if schema else None
    return attributes if style is None else tagging.with_tags(style, attributes, more)


def schema_of(attributes: Map) -> Published | None:
    name = attributes.get("type")
    return published(name) if isinstance(name, str) and is_known(name) else None


def tags_of(schema: Published) -> Tags | None:
    """How the type writes its tags; None: it takes none."""
    told = schema.root.get("tagging") or {}
    name = str(told.get("tagProperty") or "/properties/Tags").rpartition("/")[2]
    if told.get("taggable") is False or name not in schema.properties:
        return None
    fragment = schema.resolve(schema.properties[name])
    if fragment.get("type") == "object":
        return Tags(attribute=name, form="map", written="map")
    item = schema.resolve(fragment.get("items") or {}).get("properties") or {}
    return Tags(attribute=name) if {"Key", "Value"} <= set(item) else None


class Resource:
    """Reads compare what the spec speaks of; ``Attributes`` holds what AWS gives (``${queue.Attributes.Arn}``)."""

    schema = Schema(
        attributes={
            "type": Attribute(type="string", required=True, immutable=True, source="a resource keeps its type"),
            "Identifier": Attribute(type="string", computed=True),
            "Attributes": Attribute(type="map", computed=True, volatile=True),
            "CreateOnly": Attribute(
                type="map", computed=True, immutable=True, source="createOnly in the type's CloudFormation schema", same=same
            ),
        },
        predict=_predict,
        open=True,
        tagged=_tagged,
        description="any type of CloudFormation, by the Cloud Control API",
    )

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        name = attributes.get("type")
        if not isinstance(name, str) or not is_known(name):
            return []
        schema = published(name)
        if schema is None:
            import difflib

            from mlinfra_aws.engine.published import names

            near = difflib.get_close_matches(name, names(), 3, 0.6)
            return [(("type",), f"AWS publishes no type {name!r}" + (f"; did you mean {', '.join(near)}?" if near else ""))]
        problems: list[tuple[Path, str]] = []
        for key, value in attributes.items():
            if key in _OWN or value is None:
                continue
            if key not in schema.properties:
                problems.append(((key,), f"{name}: {unknown_name(key, schema.properties)}"))
            elif key in schema.read_only:
                problems.append(((key,), f"{name}: {key!r} is set by AWS and cannot be given"))
            else:
                problems += by_schema(schema, schema.properties[key], value, (key,))
        missing = sorted(n for n in schema.required if attributes.get(n) is None)
        problems += [((), f"{name} needs {n!r}") for n in missing]
        return problems

    async def create(self, client: Aws, desired: Desired, token: str) -> Observed:
        wanted = desired.attributes
        for path, sentence in self.validate(wanted):
            raise Invalid(sentence, path=path)
        type_name = str(wanted["type"])
        body = json.dumps(thaw(self._with_marks(client, desired, token)))
        try:
            event = await client.run(
                self._event, client, "CreateResource", TypeName=type_name, DesiredState=body, ClientToken=token
            )
            done = await self._done(client, event, desired.timeout)
        except Failure as failure:
            failure.path = failure.path or leaf_in(wanted, failure.message)
            if isinstance(failure, AlreadyExists):
                failure.import_id = f"{type_name}|{known_identifier(wanted) or ''}"
            raise
        identifier = str(done["Identifier"])
        found = await client.run(self._get, client, type_name, identifier)
        if found is None:
            found = {}
        return self._observed(client, type_name, identifier, found, wanted, answered=True)

    def _with_marks(self, client: Aws, desired: Desired, token: str) -> Map:
        properties = Map({k: v for k, v in desired.attributes.items() if k not in _OWN and v is not None})
        schema = schema_of(desired.attributes)
        style = tags_of(schema) if schema else None
        if style is None:
            return revealed(properties)
        marks = tagging.marks(client.project, client.environment, desired.address, token)
        return revealed(tagging.with_tags(style, properties, {**client.config.default_tags, **marks}))

    def _event(self, client: Aws, operation: str, **parameters: Any) -> Mapping[str, Any]:
        event: Mapping[str, Any] = client.call("cloudcontrol", operation, **parameters)["ProgressEvent"]
        return event

    async def _done(self, client: Aws, event: Mapping[str, Any], patience: float | None) -> Mapping[str, Any]:
        """Wait for a request's end; what it failed with, as the failure that it is."""
        until = time.monotonic() + (patience or _LIMIT)
        pause = 0.0
        while event["OperationStatus"] not in ("SUCCESS", "FAILED", "CANCEL_COMPLETE"):
            if time.monotonic() > until:
                raise Timeout(f"{event['TypeName']}: request {event['RequestToken']} is still {event['OperationStatus']}")
            say(f"{event['TypeName']} is {event['OperationStatus'].lower().replace('_', ' ')}")
            async with waiting():
                await asyncio.sleep(pause)
            pause = min(15.0, pause * 1.6 + 0.5)
            answer = await client.run(
                client.insist, "cloudcontrol", "GetResourceRequestStatus", RequestToken=event["RequestToken"]
            )
            event = answer["ProgressEvent"]
        if event["OperationStatus"] == "SUCCESS":
            return event
        code = str(event.get("ErrorCode") or "")
        operation = {"CREATE": "CreateResource", "UPDATE": "UpdateResource"}.get(str(event.get("Operation")), "DeleteResource")
        said = str(event.get("StatusMessage") or "AWS gives no reason")
        raise failure_of("cloudcontrol", Refused(_CODES.get(code, code), said, operation, 0, str(event["RequestToken"])))

    def _get(self, client: Aws, type_name: str, identifier: str) -> Mapping[str, Any] | None:
        try:
            answer = client.insist("cloudcontrol", "GetResource", TypeName=type_name, Identifier=identifier)
        except NotFound:
            return None
        found: Mapping[str, Any] = json.loads(answer["ResourceDescription"]["Properties"])
        return found

    def _observed(
        self, client: Aws, type_name: str, identifier: str, raw: Mapping[str, Any], wanted: Map, *, answered: bool = False
    ) -> Observed:
        schema = published(type_name)
        assert schema is not None
        style = tags_of(schema)
        seen = freeze(dict(raw))
        shown: dict[str, Value] = {}
        for name, value in wanted.items():
            if name in _OWN:
                continue
            if answered or name in schema.write_only:
                shown[name] = value
            elif style is not None and name == style.attribute:
                world = tagging.users(tagging.told(raw.get(name)), client.config.default_tags, tagging.written(style, value))
                shown[name] = project(value, tagging.shown(style, world))
            else:
                shown[name] = project(value, seen.get(name))
        own = Map({n: v for n, v in seen.items() if n in schema.read_only})
        only = Map({n: shown[n] for n in sorted(schema.create_only) if shown.get(n) is not None})
        return Observed(
            f"{type_name}|{identifier}",
            Map({**shown, "type": type_name, "Identifier": identifier, "Attributes": own, "CreateOnly": only}),
        )

    async def read(self, client: Aws, recorded: ResourceState) -> Observed | None:
        type_name, _, identifier = recorded.id.partition("|")
        raw = await client.run(self._get, client, type_name, identifier)
        return None if raw is None else self._observed(client, type_name, identifier, raw, recorded.attributes)

    async def adopt(self, client: Aws, id: str) -> Observed | None:
        """By ``AWS::SQS::Queue|IDENTIFIER``."""
        type_name, _, identifier = id.partition("|")
        schema = published(type_name)
        if schema is None or not identifier:
            raise Invalid(f"{id!r} is no id of an aws.resource", hint="AWS::SQS::Queue|IDENTIFIER")
        raw = await client.run(self._get, client, type_name, identifier)
        if raw is None:
            return None
        given = {n: v for n, v in freeze(dict(raw)).items() if n not in schema.read_only}
        style = tags_of(schema)
        if style is not None and style.attribute in given:
            world = tagging.users(tagging.told(raw[style.attribute]), client.config.default_tags, {})
            given[style.attribute] = tagging.shown(style, world)
        return self._observed(client, type_name, identifier, {**raw, **thaw(Map(given))}, Map(given), answered=True)

    async def update(self, client: Aws, recorded: ResourceState, desired: Desired) -> Observed:
        for path, sentence in self.validate(desired.attributes):
            raise Invalid(sentence, path=path)
        type_name, _, identifier = recorded.id.partition("|")
        patch = self._patch(client, type_name, recorded, desired)
        if patch:
            token = f"{time.time_ns():032x}"
            try:
                event = await client.run(
                    self._event, client, "UpdateResource", TypeName=type_name, Identifier=identifier,
                    PatchDocument=json.dumps(patch), ClientToken=token,
                )  # fmt: skip
                await self._done(client, event, desired.timeout)
            except Failure as failure:
                failure.path = failure.path or leaf_in(desired.attributes, failure.message)
                raise
        raw = await client.run(self._get, client, type_name, identifier)
        return self._observed(client, type_name, identifier, raw or {}, desired.attributes, answered=True)

    def _patch(self, client: Aws, type_name: str, recorded: ResourceState, desired: Desired) -> list[dict[str, Any]]:
        """A JSON patch (RFC 6902) of the properties that differ."""
        schema = published(type_name)
        assert schema is not None
        style = tags_of(schema)
        before, after = recorded.attributes, desired.attributes
        steps: list[dict[str, Any]] = []
        for name in sorted({*before, *after} - set(_OWN)):
            if before.get(name) == after.get(name) and name not in schema.write_only:
                continue
            where = f"/{name.replace('~', '~0').replace('/', '~1')}"
            value = after.get(name)
            if style is not None and name == style.attribute:
                token = self._token(client, recorded, style)
                marked = self._with_marks(client, desired, token)
                steps.append({"op": "add", "path": where, "value": thaw(marked[name])})
            elif value is None:
                if name in recorded.inputs:
                    steps.append({"op": "remove", "path": where})
            else:
                steps.append({"op": "add", "path": where, "value": thaw(revealed(Map({name: value}))[name])})
        return steps

    def _token(self, client: Aws, recorded: ResourceState, style: Tags) -> str:
        type_name, _, identifier = recorded.id.partition("|")
        raw = self._get(client, type_name, identifier) or {}
        return tagging.told(raw.get(style.attribute)).get(tagging.OP, "")

    async def delete(self, client: Aws, recorded: ResourceState) -> None:
        type_name, _, identifier = recorded.id.partition("|")
        try:
            event = await client.run(
                self._event,
                client,
                "DeleteResource",
                TypeName=type_name,
                Identifier=identifier,
                ClientToken=f"{time.time_ns():032x}",
            )
            await self._done(client, event, None)
        except NotFound:
            return

    async def find(self, client: Aws, desired: Desired, token: str) -> Observed | None:
        return await client.run(self._find, client, desired, token)

    def _find(self, client: Aws, desired: Desired, token: str) -> Observed | None:
        """By its identifier, or among all of its type, with the mark in its tags. A type without tags is found by the request that
        made it: with the same client token Cloud Control answers with that, and makes nothing anew."""
        type_name = str(desired.attributes["type"])
        schema = published(type_name)
        assert schema is not None
        style = tags_of(schema)
        named = known_identifier(desired.attributes)
        if style is not None:
            candidates = [named] if named else [
                str(r["Identifier"])
                for r in client.listed("cloudcontrol", "ListResources", "ResourceDescriptions", TypeName=type_name)
            ]  # fmt: skip
            for identifier in candidates:
                raw = self._get(client, type_name, identifier)
                if raw is not None and tagging.told(raw.get(style.attribute)).get(tagging.OP) == token:
                    return self._observed(client, type_name, identifier, raw, desired.attributes)
            return None
        return self._by_request(client, desired, type_name, token)

    def _by_request(self, client: Aws, desired: Desired, type_name: str, token: str) -> Observed | None:
        asked = client.listed(
            "cloudcontrol", "ListResourceRequests", "ResourceRequestStatusSummaries",
            ResourceRequestStatusFilter={"Operations": ["CREATE"], "OperationStatuses": ["PENDING", "IN_PROGRESS", "SUCCESS"]},
        )  # fmt: skip
        if not any(e.get("TypeName") == type_name for e in asked):
            return None
        known = {str(e.get("RequestToken")) for e in asked}
        body = json.dumps(thaw(self._with_marks(client, desired, token)))
        event = self._event(client, "CreateResource", TypeName=type_name, DesiredState=body, ClientToken=token)
        if str(event["RequestToken"]) not in known:  # it had not been asked for: what begins now is not what was looked for
            client.insist("cloudcontrol", "CancelResourceRequest", RequestToken=event["RequestToken"])
            return None
        while event["OperationStatus"] in ("PENDING", "IN_PROGRESS"):
            time.sleep(1.0)
            event = client.insist("cloudcontrol", "GetResourceRequestStatus", RequestToken=event["RequestToken"])["ProgressEvent"]
        raw = self._get(client, type_name, str(event.get("Identifier"))) if event["OperationStatus"] == "SUCCESS" else None
        return None if raw is None else self._observed(client, type_name, str(event["Identifier"]), raw, desired.attributes)


def known_identifier(attributes: Map) -> str:
    """The primary identifier where the properties give it; ``""``: AWS does."""
    schema = schema_of(attributes)
    if schema is None or any(n in schema.read_only or attributes.get(n) is None for n in schema.identifier):
        return ""
    return "|".join(str(attributes[n]) for n in schema.identifier)


def revealed(properties: Map) -> Map:
    """The properties with their secrets opened, for the one request that carries them."""
    from mlinfra.model.values import reveal

    found: Map = reveal(properties)
    return found


RESOURCE = Resource()
