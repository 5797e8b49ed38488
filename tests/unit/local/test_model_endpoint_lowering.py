"""What model_registry, model and endpoint become on local, and which mistakes are refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from mlinfra.kinds.catalog import kind
from mlinfra.model.component import Component
from mlinfra.model.values import UNKNOWN, Map, Ref
from mlinfra.provider.contract import FileDigest, Lowered, LoweringContext, LoweringError
from mlinfra_local.lowering import endpoint, model, model_registry

LOWER: dict[str, Any] = {"model_registry": model_registry.lower, "model": model.lower, "endpoint": endpoint.lower}
REGISTRY = Map({"kind": "model_registry", "id": Ref("registry", ("name",))})
DIGESTS = {("models/one", "data"): FileDigest("sha256:" + "1" * 64, 10, 2)}


def lower(kind_name: str, address: str, **properties: Any) -> Lowered:
    component = Component(kind=kind_name, name=address, target="local")
    context = LoweringContext(component=component, project="p", environment="dev", provider="local", digests=DIGESTS)
    lowered: Lowered = LOWER[kind_name](kind(kind_name).model_validate(properties), context)
    return lowered


@pytest.mark.parametrize(
    ("name", "properties"),
    [
        ("model_registry", {}),
        ("model", {"registry": REGISTRY, "versions": {"v1": {"artifact": "models/one"}}, "aliases": {"champion": "v1"}}),
        ("endpoint", {"variants": {"only": {"model": "models/one"}}}),
    ],
)
def test_the_outputs_are_those_that_the_kind_declares_and_lowering_is_pure(name: str, properties: dict[str, Any]) -> None:
    lowered = lower(name, "thing", **properties)
    assert set(lowered.outputs) == set(kind(name).outputs)
    assert lower(name, "thing", **properties) == lowered


def test_a_version_from_a_path_carries_its_content_and_one_from_a_job_its_uri() -> None:
    artifact = Ref("fit", ("artifact",))
    lowered = lower(
        "model", "router", registry=REGISTRY, versions={"v1": {"artifact": "models/one"}, "v2": {"artifact": artifact}}
    )
    versions = {r.address: r.attributes for r in lowered.resources if r.type == "local.model_version"}
    assert versions['router.version["v1"]']["content"] == DIGESTS["models/one", "data"].digest
    assert versions['router.version["v2"]']["artifact"] == artifact
    assert not any(r.type == "local.model_aliases" for r in lowered.resources)


def test_aliases_point_at_the_numbers_of_their_versions() -> None:
    lowered = lower("model", "router", registry=REGISTRY, versions={"v1": {"artifact": "models/one"}}, aliases={"champion": "v1"})
    aliases = next(r for r in lowered.resources if r.type == "local.model_aliases")
    assert aliases.address == "router.aliases"
    assert aliases.attributes["aliases"] == {"champion": Ref('router.version["v1"]', ("number",))}
    assert lowered.outputs["aliases"]["champion"] == lowered.outputs["versions"]["v1"]


@pytest.mark.parametrize(
    ("properties", "path", "words"),
    [
        ({"versions": {"v1": {"image": "me/server"}}}, ("versions", "v1", "image"), "not images"),
        ({"versions": {"v1": {}}}, ("versions", "v1"), "no artifact"),
        ({"versions": {"v1": {"artifact": "s3://b/m"}}}, ("versions", "v1", "artifact"), "cannot read"),
        (
            {"versions": {"v1": {"artifact": "models/one"}}, "aliases": {"champion": "v2"}},
            ("aliases", "champion"),
            "no version 'v2'",
        ),
    ],
)
def test_a_model_that_local_cannot_make_is_refused_at_its_place(
    properties: dict[str, Any], path: tuple[str, ...], words: str
) -> None:
    with pytest.raises(LoweringError, match=words) as caught:
        lower("model", "router", registry=REGISTRY, **properties)
    assert caught.value.diagnostics[0].path == path
    assert caught.value.diagnostics[0].hint


def test_a_variant_takes_a_whole_version_and_a_new_digest_rolls_it() -> None:
    version = Map({"uri": Ref("v", ("uri",)), "digest": Ref("v", ("digest",)), "number": Ref("v", ("number",))})
    lowered = lower("endpoint", "api", variants={"only": {"model": version}})
    attributes = lowered.resources[0].attributes
    assert attributes["variants"]["only"] == {
        "model": {"uri": Ref("v", ("uri",)), "digest": Ref("v", ("digest",))},
        "traffic": 100,
        "shadow": False,
    }


def test_replicas_stickiness_and_units_may_be_written_short() -> None:
    short = lower("endpoint", "api", variants={"only": {"model": "models/one"}}, replicas=3, sticky="x-user")
    long = lower(
        "endpoint", "api", variants={"only": {"model": "models/one"}}, replicas={"min": 3, "max": 3}, sticky={"header": "x-user"}
    )
    assert short == long
    timed = lower(
        "endpoint", "api", variants={"only": {"model": "models/one"}}, health={"timeout": "2m"}, resources={"memory": "2GB"}
    )
    assert timed.resources[0].attributes["health"] == {"path": "/ping", "timeout": 120.0}
    assert timed.resources[0].attributes["resources"] == {"memory": 2 * 10**9}


def test_what_is_not_known_yet_is_carried_through() -> None:
    lowered = lower(
        "endpoint", "api", variants={"a": {"model": UNKNOWN, "traffic": UNKNOWN}, "b": {"model": "models/one", "traffic": 0}}
    )
    assert lowered.resources[0].attributes["variants"]["a"]["model"]["uri"] is UNKNOWN


@pytest.mark.parametrize("variant", [{"image": "me/server"}, {"model": "s3://b/m"}, {"model": "models:/router@champion"}])
def test_a_variant_that_local_cannot_serve_is_refused_with_a_way_out(variant: dict[str, str]) -> None:
    with pytest.raises(LoweringError) as caught:
        lower("endpoint", "api", variants={"only": variant})
    assert caught.value.diagnostics[0].path == ("variants", "only", next(iter(variant)))
    assert caught.value.diagnostics[0].hint


@pytest.mark.parametrize(
    "properties",
    [
        {"variants": {}},
        {"variants": {"a": {}}},
        {"variants": {"a": {"model": "m", "image": "i"}}},
        {"variants": {"a": {"model": "m", "traffic": 0}}},
        {"variants": {"a": {"model": "m", "traffic": -1}}},
        {"variants": {"a": {"model": "m"}, "b": {"model": "m"}}},
        {"variants": {"a": {"model": "m", "shadow": True}}},
        {"variants": {"a": {"model": "m"}, "b": {"model": "m", "shadow": True, "traffic": 101}}},
        {"variants": {"a": {"model": "m"}}, "replicas": {"min": 3, "max": 2}},
        {"variants": {"a": {"model": "m"}}, "port": 70000},
        {"variants": {"a": {"model": "m"}}, "health": {"path": "ping"}},
        {"variants": {"a": {"model": "m"}}, "health": {"timeout": "0s"}},
    ],
)
def test_an_endpoint_that_makes_no_sense_is_refused(properties: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        kind("endpoint").model_validate(properties)


@pytest.mark.parametrize("alias", ["v1", "V12", "latest", "Latest", "a b", "", "ü"])
def test_an_alias_that_mlflow_refuses_is_refused_before_anything_is_made(alias: str) -> None:
    with pytest.raises(ValidationError):
        kind("model").model_validate({"registry": Ref("r"), "aliases": {alias: "v1"}})
