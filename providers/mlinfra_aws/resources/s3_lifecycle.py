"""A bucket's lifecycle rules between CloudFormation's flat words (``ExpirationInDays``) and S3's nested ones (``Expiration: {Days}``).

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-s3-bucket-rule.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlinfra.model.values import Map, Value


def rules_to_api(configuration: Value) -> dict[str, Any]:
    """CloudFormation's LifecycleConfiguration as PutBucketLifecycleConfiguration takes it."""
    return {"Rules": [_rule(rule) for rule in configuration.get("Rules") or ()]}


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    sent: dict[str, Any] = {"Status": rule["Status"], "Filter": _filter(rule)}
    if rule.get("Id"):
        sent["ID"] = rule["Id"]
    expiration = {
        api: rule[ours]
        for ours, api in (
            ("ExpirationInDays", "Days"),
            ("ExpirationDate", "Date"),
            ("ExpiredObjectDeleteMarker", "ExpiredObjectDeleteMarker"),
        )
        if rule.get(ours) is not None
    }
    if expiration:
        sent["Expiration"] = expiration
    moves = [*(rule.get("Transitions") or ()), *([rule["Transition"]] if rule.get("Transition") else [])]
    if moves:
        sent["Transitions"] = [_transition(t) for t in moves]
    old = [
        *(rule.get("NoncurrentVersionTransitions") or ()),
        *([rule["NoncurrentVersionTransition"]] if rule.get("NoncurrentVersionTransition") else []),
    ]
    if old:
        sent["NoncurrentVersionTransitions"] = [
            _some(
                StorageClass=t["StorageClass"],
                NoncurrentDays=t["TransitionInDays"],
                NewerNoncurrentVersions=t.get("NewerNoncurrentVersions"),
            )
            for t in old
        ]
    if rule.get("NoncurrentVersionExpirationInDays") is not None:
        sent["NoncurrentVersionExpiration"] = {"NoncurrentDays": rule["NoncurrentVersionExpirationInDays"]}
    elif rule.get("NoncurrentVersionExpiration"):
        sent["NoncurrentVersionExpiration"] = dict(rule["NoncurrentVersionExpiration"])
    if rule.get("AbortIncompleteMultipartUpload"):
        sent["AbortIncompleteMultipartUpload"] = dict(rule["AbortIncompleteMultipartUpload"])
    return sent


def _filter(rule: Mapping[str, Any]) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    if rule.get("Prefix"):
        parts["Prefix"] = rule["Prefix"]
    if rule.get("ObjectSizeGreaterThan") is not None:
        parts["ObjectSizeGreaterThan"] = int(rule["ObjectSizeGreaterThan"])
    if rule.get("ObjectSizeLessThan") is not None:
        parts["ObjectSizeLessThan"] = int(rule["ObjectSizeLessThan"])
    tags = [{"Key": t["Key"], "Value": t["Value"]} for t in rule.get("TagFilters") or ()]
    if not tags and len(parts) <= 1:
        return parts or {"Prefix": ""}
    if len(tags) == 1 and not parts:
        return {"Tag": tags[0]}
    return {"And": {**parts, **({"Tags": tags} if tags else {})}}


def _transition(move: Mapping[str, Any]) -> dict[str, Any]:
    return _some(StorageClass=move["StorageClass"], Days=move.get("TransitionInDays"), Date=move.get("TransitionDate"))


def rules_from_api(answer: Mapping[str, Any]) -> Value:
    """What GetBucketLifecycleConfiguration answers, in CloudFormation's words."""
    return Map(Rules=tuple([_told(rule) for rule in answer.get("Rules") or ()]))


def _told(rule: Mapping[str, Any]) -> Map:
    found: dict[str, Any] = {"Status": rule["Status"]}
    if rule.get("ID"):
        found["Id"] = rule["ID"]
    where = rule.get("Filter") or {}
    where = {**where, **(where.get("And") or {})}
    if rule.get("Prefix") or where.get("Prefix"):
        found["Prefix"] = rule.get("Prefix") or where["Prefix"]
    for name in ("ObjectSizeGreaterThan", "ObjectSizeLessThan"):
        if where.get(name) is not None:
            found[name] = str(where[name])
    tags = [*(where.get("Tags") or ()), *([where["Tag"]] if where.get("Tag") else [])]
    if tags:
        found["TagFilters"] = tuple([Map(Key=t["Key"], Value=t["Value"]) for t in tags])
    expiration = rule.get("Expiration") or {}
    for api, ours in (
        ("Days", "ExpirationInDays"),
        ("Date", "ExpirationDate"),
        ("ExpiredObjectDeleteMarker", "ExpiredObjectDeleteMarker"),
    ):
        if expiration.get(api) is not None:
            value = expiration[api]
            found[ours] = value.isoformat() if hasattr(value, "isoformat") else value
    if rule.get("Transitions"):
        found["Transitions"] = tuple(
            [
                Map(_some(StorageClass=t["StorageClass"], TransitionInDays=t.get("Days"), TransitionDate=_date(t.get("Date"))))
                for t in rule["Transitions"]
            ]
        )
    if rule.get("NoncurrentVersionTransitions"):
        found["NoncurrentVersionTransitions"] = tuple(
            [
                Map(
                    _some(
                        StorageClass=t["StorageClass"],
                        TransitionInDays=t.get("NoncurrentDays"),
                        NewerNoncurrentVersions=t.get("NewerNoncurrentVersions"),
                    )
                )
                for t in rule["NoncurrentVersionTransitions"]
            ]
        )
    if rule.get("NoncurrentVersionExpiration"):
        found["NoncurrentVersionExpiration"] = Map(rule["NoncurrentVersionExpiration"])
    if rule.get("AbortIncompleteMultipartUpload"):
        found["AbortIncompleteMultipartUpload"] = Map(rule["AbortIncompleteMultipartUpload"])
    return Map(found)


def _date(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _some(**values: Any) -> dict[str, Any]:
    return {k: v for k, v in values.items() if v is not None}
