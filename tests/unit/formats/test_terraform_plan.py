"""A plan as Terraform's plan JSON: held against the format's schema, and looked at where a schema says nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fakes.pull_request import SECRET, pull_request

from mlinfra.cli.formats.terraform_names import Names, in_terraform
from mlinfra.cli.formats.terraform_plan import Context, terraform_plan
from mlinfra.cli.render_json import dumps
from mlinfra.model.change import HALF_MADE, MISSING, Action, AttributeChange, Change, Drift
from mlinfra.model.plan import Operation, OutputChange, Plan, Step
from mlinfra.model.resource import Resource, ResourceState
from mlinfra.model.values import UNKNOWN, Expr, Map, Ref, Secret, SecretDigest, freeze
from mlinfra.provider.registry import Registry
from mlinfra.provider.terraform import Beside, TerraformType, shaped, snake

SCHEMA = json.loads((Path(__file__).parents[3] / "schemas/plan.schema.json").read_text())


def document(plan: Plan, context: Context | None = None, names: Names | None = None) -> dict[str, Any]:
    """As JSON has it, and valid."""
    data: dict[str, Any] = json.loads(dumps(terraform_plan(plan, context, names)))
    jsonschema.Draft202012Validator(SCHEMA).validate(data)
    return data


def change(action: Action = Action.REPLACE, address: str = "raw", type: str = "local.bucket", **more: Any) -> Change:
    return Change(action=action, address=address, type=type, provider="local", component=address, **more)


def test_the_pull_request_is_a_valid_plan_without_its_secret() -> None:
    data = document(pull_request())
    assert SECRET not in dumps(data)
    assert data["resource_drift"][0]["change"]["before"]["versioning"] == [{"enabled": True, "mfa_delete": False}]
    assert data["checks"][1]["instances"][0]["problems"] == [{"message": "tickets: data is not destroyed by a pull request"}]
    assert data["mlinfra"]["policies"][1]["overridden"].startswith("CHG-4711") and not data["errored"]


def test_unknown_is_left_out_and_marked_and_secrets_are_marked_and_hidden() -> None:
    one = change(
        before=freeze({"a": 1, "key": SecretDigest("d1g3st")}),
        after=freeze({"a": UNKNOWN, "key": Secret("s3cr3t"), "env": {"T": "plain-s3cr3t"}, "l": [1, UNKNOWN]}),
        attributes=(
            AttributeChange(path=("a",), before=1, after=UNKNOWN, forces_replacement="createOnly"),
            AttributeChange(path=("env", "T"), before=MISSING, after="plain-s3cr3t", sensitive=True),
        ),
        create_first=True,
    )
    plan = Plan(
        changes=(one,),
        steps=(Step(operation=Operation.CREATE, change=0), Step(operation=Operation.DELETE, change=0, needs=(0,))),
        output_changes=(OutputChange(name="o", before=None, after=UNKNOWN),),
    )
    data = document(plan)
    (shown,) = data["resource_changes"]
    assert shown["change"] == {
        "actions": ["create", "delete"],
        "before": {"a": 1, "key": "(sensitive)"},
        "after": {"key": "(sensitive)", "env": {"T": "(sensitive)"}, "l": [1, None]},
        "after_unknown": {"a": True, "id": True, "l": [False, True]},
        "before_sensitive": {"key": True},
        "after_sensitive": {"key": True, "env": {"T": True}},
        "replace_paths": [["a"]],
    }
    assert shown["action_reason"] == "replace_because_cannot_update"
    assert data["output_changes"]["o"]["after_unknown"] is True
    assert data["mlinfra"]["steps"][1] == {"operation": "delete", "address": "raw", "needs": [0]}
    assert data["mlinfra"]["summary"]["add"] == data["mlinfra"]["summary"]["destroy"] == 1
    assert "s3cr3t" not in dumps(data) and "d1g3st" not in dumps(data)


ADDRESSES = {
    "raw": ("local_bucket.raw", "raw", None),
    'item["a b"]': ('local_bucket.item["a b"]', "item", "a b"),
    "item[0]": ("local_bucket.item[0]", "item", 0),
    "api.config": ("local_bucket.api-config", "api-config", None),
    'router.version["v1"]': ('local_bucket.router-version["v1"]', "router-version", "v1"),
    'item["a"].version["v1"]': ('local_bucket.item-version["a/v1"]', "item-version", "a/v1"),
    "module.rag.raw": ("module.rag.local_bucket.raw", "raw", None),
    'module.a["x"].module.b.raw': ('module.a["x"].module.b.local_bucket.raw', "raw", None),
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_has_terraforms_shape(address: str) -> None:
    found = in_terraform(address, "local_bucket")
    assert (found.whole, found.name, found.index) == ADDRESSES[address]


def test_every_address_of_ours_is_another_one_there() -> None:
    ours = [*ADDRESSES, "api_config", 'item["a.b"]', 'item["a"]', "item[1]", "module.rag.raw.config"]
    assert len({in_terraform(a, "t").whole for a in ours}) == len(ours)


def test_values_and_configuration_are_nested_by_module_and_reference_each_other() -> None:
    changes = (
        change(Action.CREATE, "raw", after=freeze({"name": "raw", "uri": UNKNOWN})),
        change(Action.CREATE, 'module.rag["x"].api', "local.endpoint", after=freeze({"uri": UNKNOWN, "text": UNKNOWN, "n": 1})),
        change(Action.CREATE, 'module.rag["y"].api', "local.endpoint", after=freeze({"uri": UNKNOWN, "text": UNKNOWN, "n": 2})),
    )
    refers = freeze(
        {"uri": Ref("raw", ("uri",)), "text": Expr("<${raw.name}>", ((("raw", "name"), Ref("raw", ("name",))),)), "n": 1}
    )
    resources = {
        c.address: Resource(
            address=c.address, type=c.type, provider="local", attributes=refers if "api" in c.address else Map(c.after or {})
        )
        for c in changes
    }
    data = document(Plan(changes=changes, resources=resources, needs={c.address: ("raw",) for c in changes[1:]}))
    modules = data["planned_values"]["root_module"]["child_modules"]
    assert [m["address"] for m in modules] == ['module.rag["x"]', 'module.rag["y"]']
    assert modules[0]["resources"][0]["address"] == 'module.rag["x"].local_endpoint.api'
    (api,) = data["configuration"]["root_module"]["module_calls"]["rag"]["module"]["resources"]
    assert api["address"] == "local_endpoint.api" and "depends_on" not in api
    assert api["expressions"]["uri"] == {"references": ["local_bucket.raw.uri", "local_bucket.raw"]}
    assert api["expressions"]["text"] == {"references": ["local_bucket.raw.name", "local_bucket.raw"]}
    assert {"resource": "local_bucket.raw", "attribute": ["uri"]} in data["relevant_attributes"]


def test_what_happens_has_terraforms_words() -> None:
    tree = freeze({"name": "x"})
    changes = (
        change(Action.NOOP, "same", before=tree, after=tree),
        change(Action.REPLACE, "asked", before=tree, after=tree, reason="asked for by --replace"),
        change(Action.REPLACE, "half", before=tree, after=tree, reason=HALF_MADE),
        change(Action.DELETE, 'item["a"]', before=tree, reason="it is not in the spec any more"),
        change(Action.NOOP, 'item["b"]', before=tree, after=tree),
        change(Action.DELETE, "gone", before=tree, reason="it is not in the spec any more"),
        change(Action.DELETE, "same", before=tree, deposed="1f", reason="left behind by a replacement"),
        change(Action.IMPORT, "adopted", before=tree, after=tree, import_id="i-1"),
        change(Action.FORGET, "left", before=tree),
        change(Action.UPDATE, "moved", before=tree, after=tree, moved_from="old"),
    )
    prior = {("moved", ""): ResourceState(address="moved", type="t", provider="p", id="id-1")}
    found = document(Plan(changes=changes, prior=prior))["resource_changes"]
    said = [(c["mlinfra"]["address"], c["change"]["actions"], c.get("action_reason")) for c in found]
    assert said == [
        ("same", ["no-op"], None),
        ("asked", ["delete", "create"], "replace_by_request"),
        ("half", ["delete", "create"], "replace_because_tainted"),
        ('item["a"]', ["delete"], "delete_because_each_key"),
        ('item["b"]', ["no-op"], None),
        ("gone", ["delete"], "delete_because_no_resource_config"),
        ("same", ["delete"], None),
        ("adopted", ["no-op"], None),
        ("left", ["forget"], None),
        ("moved", ["update"], None),
    ]
    assert found[6]["deposed"] == "1f" and found[7]["change"]["importing"] == {"id": "i-1"}
    assert found[9]["previous_address"] == "local_bucket.old" and found[9]["change"]["after"]["id"] == "id-1"


class Clouds:
    """A provider whose types have names in Terraform."""

    name = "local"
    types: Mapping[str, Any] = {}
    lowerings: Mapping[str, Any] = {}
    terraform: Mapping[str, TerraformType] = {
        "local.bucket": TerraformType(
            name="aws_s3_bucket",
            attributes={"BucketName": "bucket", "Internal": ""},
            shape=lambda a: {"versioning": (Map({"enabled": a["Versioning"]}),)} if "Versioning" in a else {},
            beside=(
                Beside(
                    name="aws_s3_bucket_public_access_block",
                    parent="bucket",
                    shape=lambda a: a.get("PublicAccess"),
                ),
            ),
        )
    }


def test_a_native_with_a_counterpart_takes_its_name_its_attributes_and_its_second_half() -> None:
    names = Names(Registry({"local": Clouds()}))  # type: ignore[dict-item]
    after = freeze(
        {"BucketName": "b", "KmsKeyId": Secret("s3cr3t"), "Versioning": UNKNOWN, "Internal": 1, "PublicAccess": {"block": True},
         "Tags": {"Team Name": "x"}, "LifecycleConfiguration": {"DaysAfter": [{"KeyPrefix": "p"}]}}
    )  # fmt: skip
    data = document(Plan(changes=(change(Action.CREATE, after=after, attributes=()),)), names=names)
    bucket, block = data["resource_changes"]
    assert bucket["address"] == "aws_s3_bucket.raw" and bucket["provider_name"] == "hashicorp/aws"
    body = bucket["change"]
    assert body["after"]["bucket"] == "b" and "internal" not in body["after"]
    assert body["after"]["lifecycle_configuration"] == {"days_after": [{"key_prefix": "p"}]}
    assert body["after"]["tags"] == {"Team Name": "x"} and body["after_sensitive"] == {"kms_key_id": True}
    assert body["after_unknown"]["versioning"] == [{"enabled": True}]
    assert block["address"] == "aws_s3_bucket_public_access_block.raw" and block["change"]["after"]["block"] is True
    assert block["mlinfra"] == {"address": "raw", "part_of": "aws_s3_bucket.raw"}
    written = {r["type"]: r for r in data["configuration"]["root_module"]["resources"]}
    references = written["aws_s3_bucket_public_access_block"]["expressions"]["bucket"]["references"]
    assert references == ["aws_s3_bucket.raw.id", "aws_s3_bucket.raw"]
    assert "s3cr3t" not in dumps(data)


def test_names_in_snake_case() -> None:
    assert [snake(n) for n in ("KmsKeyId", "SSEAlgorithm", "machineType", "VPCId", "a-b", "plain", "with space")] == [
        "kms_key_id", "sse_algorithm", "machine_type", "vpc_id", "a_b", "plain", "with space",
    ]  # fmt: skip
    tree = freeze({"a": 1})
    assert shaped(None, tree) is tree


def test_drift_is_an_update_from_what_was_recorded_to_what_was_found() -> None:
    found = freeze({"n": 2, "new": "x", "secret": SecretDigest("d")})
    drift = (
        Drift(
            address="raw",
            type="local.bucket",
            attributes=(
                AttributeChange(path=("n",), before=1, after=2),
                AttributeChange(path=("new",), before=MISSING, after="x"),
                AttributeChange(path=("secret",), before=SecretDigest("c"), after=SecretDigest("d"), sensitive=True),
            ),
        ),
        Drift(address="lost", type="local.bucket", gone=True),
    )
    plan = Plan(changes=(change(Action.NOOP, before=found, after=found),), drift=drift)
    moved, gone = document(plan)["resource_drift"]
    assert moved["change"]["before"] == {"n": 1, "secret": "(sensitive)"}
    assert moved["change"]["after"] == {"n": 2, "new": "x", "secret": "(sensitive)"}
    assert gone["change"]["actions"] == ["delete"] and gone["change"]["after"] is None


def test_every_name_of_the_tables_belongs_to_a_type_that_there_is() -> None:
    registry = Registry()
    for provider, prefix in (("aws", "aws_"), ("gcp", "google_"), ("azure", "azurerm_")):
        found = registry.get(provider)
        table = found.terraform  # type: ignore[attr-defined]
        prefixes = (prefix, "zillizcloud_")  # a service of its own that both sell
        assert all(t.name.startswith(prefixes) for t in table.values()) and len({t.name for t in table.values()}) == len(table)
        named = set(table) & set(found.types)
        assert len(named) >= 10, named


def test_a_google_bucket_reads_as_terraforms() -> None:
    after = freeze(
        {"name": "b", "storageClass": "STANDARD", "versioning": {"enabled": True}, "labels": {"Team-A": "x"},
         "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": True}, "publicAccessPrevention": "enforced"}}
    )  # fmt: skip
    one = Change(action=Action.CREATE, address="raw", type="gcp.storage_bucket", provider="gcp", component="raw", after=after)
    (shown,) = document(Plan(changes=(one,)))["resource_changes"]
    assert shown["type"] == "google_storage_bucket" and shown["provider_name"] == "hashicorp/google"
    assert shown["change"]["after"] == {
        "name": "b", "storage_class": "STANDARD", "versioning": [{"enabled": True}], "labels": {"Team-A": "x"},
        "uniform_bucket_level_access": True, "public_access_prevention": "enforced",
    }  # fmt: skip
