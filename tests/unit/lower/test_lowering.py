from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from mlinfra.lower import Stack, lower
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import PlanError
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Expr, Map, Ref, Secret
from mlinfra.provider.contract import Lowered, Lowering, LoweringContext, ProviderContext, ResourceType
from mlinfra.provider.registry import Registry
from mlinfra.resolve import Inputs, examine
from mlinfra.spec.loader import load


class Thing:
    """A type of the fake provider; its methods are never called here."""

    schema = Schema(
        attributes={
            "name": Attribute(type="string", required=True),
            "size": Attribute(type="integer"),
            "items": Attribute(type="list"),
            "options": Attribute(type="map"),
            "password": Attribute(type="string", sensitive=True),
            "address": Attribute(type="string", computed=True, read_only=True),
        }
    )

    async def read(self, client: Any, recorded: Any) -> None: ...
    async def create(self, client: Any, desired: Any, token: str) -> Any: ...
    async def update(self, client: Any, recorded: Any, desired: Any) -> Any: ...
    async def delete(self, client: Any, recorded: Any) -> None: ...

    def validate(self, attributes: Map) -> Sequence[tuple[tuple[str | int, ...], str]]:
        return [(("size",), "size must not be 13")] if attributes.get("size") == 13 else []


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid")
    region: str = "here"
    token: str | None = None


def lower_bucket(spec: Any, context: LoweringContext) -> Lowered:
    """Two resources: the bucket itself and its policy, which needs it."""
    if spec.name == "refuse":
        raise context.error("fake.refused", "this name is refused", path=("name",))
    if spec.name == "crash":
        raise ZeroDivisionError("oops")
    main = context.resource(
        "fake.thing", {"name": spec.name or context.address, "options": {"where": context.settings["region"]}}
    )
    policy = context.resource(
        "fake.thing", {"name": Ref(context.address, ("name",))}, role="policy", depends_on=(context.address,)
    )
    outputs = Map(id=Ref(context.address, ("name",)), name=Ref(context.address, ("name",)), uri="fake://bucket")
    return Lowered(resources=(main, policy), outputs=outputs if spec.name != "forget" else Map(id="x"))


class Fake:
    name = "fake"
    types: Mapping[str, ResourceType] = {"fake.thing": Thing()}
    lowerings: Mapping[str, Lowering] = {"bucket": lower_bucket}
    everywhere: frozenset[str] = frozenset()
    max_concurrency = 1
    config = Config

    async def connect(self, config: Any, context: ProviderContext) -> Any: ...


@pytest.fixture
def registry() -> Registry:
    from mlinfra_local.provider import LocalProvider

    return Registry({"fake": Fake(), "local": LocalProvider()})


HEAD = "version: 1\nproject: demo\nenvironments: {dev: {target: fake}}\n"


def lowered(folder: Path, registry: Registry, text: str, **variables: str) -> Stack:
    folder.mkdir(exist_ok=True)
    (folder / "mlinfra.yaml").write_text(HEAD + text)
    resolved, _ = examine(load(folder), Inputs(variables=variables))
    return lower(resolved, registry, {})


def problems(folder: Path, registry: Registry, text: str, **variables: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(PlanError) as error:
        lowered(folder, registry, text, **variables)
    return error.value.diagnostics


def under_caret(folder: Path, diagnostic: Diagnostic) -> str:
    assert diagnostic.span is not None
    return (folder / "mlinfra.yaml").read_text().splitlines()[diagnostic.span.line - 1][diagnostic.span.column - 1 :]


def test_references_become_constants_or_native_references(tmp_path: Path, registry: Registry) -> None:
    stack = lowered(
        tmp_path,
        registry,
        "resources:\n  use: {kind: data, input: ['${raw.uri}', '${raw.name}', '${raw.name}/${raw.uri}']}\n  raw: {kind: bucket}\n",
    )
    native = Ref("raw", ("name",))
    assert stack.resources["use"].attributes["input"] == (
        "fake://bucket",
        native,
        Expr("${raw.name}/${raw.uri}", ((("raw", "name"), native), (("raw", "uri"), "fake://bucket"))),
    )
    assert list(stack.resources) == ["raw", "raw.policy", "use"]
    assert [r.provider for r in stack.resources.values()] == ["fake", "fake", "local"]


def test_component_addresses_and_native_addresses_are_not_confused(tmp_path: Path, registry: Registry) -> None:
    stack = lowered(tmp_path, registry, "resources: {raw: {kind: bucket}, b: {kind: bucket, name: '${raw.id}-x'}}\n")
    assert stack.resources["b"].attributes["name"] == Expr("${raw.id}-x", ((("raw", "id"), Ref("raw", ("name",))),))
    assert stack.resources["b.policy"].attributes["name"] == Ref("b", ("name",))


def test_whole_reference_is_the_map_of_outputs_with_the_kind(tmp_path: Path, registry: Registry) -> None:
    stack = lowered(tmp_path, registry, "resources: {raw: {kind: bucket}, use: {kind: data, input: '${raw}'}}\n")
    name = Ref("raw", ("name",))
    assert stack.resources["use"].attributes["input"] == Map(id=name, name=name, uri="fake://bucket", kind="bucket")


def test_a_reference_to_an_own_attribute_stays_and_the_whole_is_all_of_them(tmp_path: Path, registry: Registry) -> None:
    stack = lowered(
        tmp_path,
        registry,
        "resources:\n  a: {kind: data, input: 1}\n  b: {kind: data, input: '${a.output.x}'}\n  c: {kind: data, input: '${a}'}\n",
    )
    assert stack.resources["b"].attributes["input"] == Ref("a", ("output", "x"))
    own = {name: Ref("a", (name,)) for name in ("id", "output", "input")}
    assert stack.resources["c"].attributes["input"] == Map({**own, "kind": "data"})


def test_depends_on_means_every_native_resource_and_keeps_the_lowerings_own(tmp_path: Path, registry: Registry) -> None:
    stack = lowered(tmp_path, registry, "resources: {raw: {kind: bucket}, b: {kind: bucket, depends_on: [raw]}}\n")
    assert stack.resources["b"].depends_on == ("raw", "raw.policy")
    assert stack.resources["b.policy"].depends_on == ("raw", "raw.policy", "b")
    assert stack.resources["raw.policy"].depends_on == ("raw",)


def test_triggers_tags_and_native_settings_are_replaced_too(tmp_path: Path, registry: Registry) -> None:
    stack = lowered(
        tmp_path,
        registry,
        "resources:\n  raw: {kind: bucket}\n"
        "  b: {kind: bucket, native: {size: '${raw.name.size()}', policy: {size: 5}}, lifecycle: {replace_when: ['${raw.uri}']}}\n",
    )
    assert stack.resources["b"].lifecycle.replace_when == ("fake://bucket",)
    assert stack.resources["b.policy"].attributes["size"] == 5


def test_native_kind_offers_its_attributes_and_its_id(tmp_path: Path, registry: Registry) -> None:
    stack = lowered(
        tmp_path,
        registry,
        "resources:\n  t: {kind: fake.thing, name: x, size: '${1 + 2}', items: [1], options: {a: 1}}\n"
        "  use: {kind: data, input: ['${t.address}', '${t.id}']}\noutputs: {p: '${t.password}', a: '${t.address}'}\n",
    )
    assert stack.resources["t"].attributes == Map(name="x", size=3, items=(1,), options=Map(a=1))
    assert stack.resources["use"].attributes["input"] == (Ref("t", ("address",)), Ref("t", ("id",)))
    assert stack.outputs == Map(p=Ref("t", ("password",)), a=Ref("t", ("address",)))
    assert stack.sensitive_outputs == ("p",)


@pytest.mark.parametrize(
    ("properties", "code", "message", "hint", "caret"),
    [
        ("nmae: x, name: y", "lower.unknown_attribute", "fake.thing has no attribute 'nmae'", "did you mean 'name'?", "x,"),
        ("size: 3", "lower.missing_attribute", "fake.thing needs 'name'", "", "{kind"),
        ("name: x, size: big", "lower.bad_type", "size of fake.thing must be a whole number, not the text 'big'", "", "big"),
        ("name: x, size: true", "lower.bad_type", "size of fake.thing must be a whole number, not true", "", "true"),
        ("name: x, items: {a: 1}", "lower.bad_type", "items of fake.thing must be a list, not a map", "", "{a"),
        ("name: x, size: 13", "lower.invalid", "size must not be 13", "", "13"),
        (
            "name: x, address: y",
            "lower.read_only",
            "'address' of fake.thing is what the provider tells of it, and cannot be given",
            "",
            "y",
        ),
    ],
)
def test_native_attributes_are_checked(
    tmp_path: Path, registry: Registry, properties: str, code: str, message: str, hint: str, caret: str
) -> None:
    (found,) = problems(tmp_path, registry, f"resources:\n  t: {{kind: fake.thing, {properties}}}\n")
    assert (found.code, found.message, found.address) == (code, message, "t")
    assert hint in found.hint
    assert under_caret(tmp_path, found).startswith(caret)


def test_deferred_and_secret_attributes_pass_the_type_check(tmp_path: Path, registry: Registry) -> None:
    text = (
        "variables: {p: {sensitive: true}}\nresources:\n  raw: {kind: bucket}\n"
        "  t: {kind: fake.thing, name: '${raw.name}', size: '${raw.name.size()}', password: '${vars.p}'}\n"
    )
    assert lowered(tmp_path, registry, text, p="hush").resources["t"].attributes["password"] == Secret("hush")
    bad = text.replace("{sensitive: true}", "{sensitive: true, type: integer}")
    (found,) = problems(tmp_path, registry, bad, p="4711")
    assert found.code == "lower.bad_type"
    assert "4711" not in str(found)


def test_native_settings_of_the_escape_hatch_are_checked_at_their_place(tmp_path: Path, registry: Registry) -> None:
    (found,) = problems(tmp_path, registry, "resources: {raw: {kind: bucket, native: {sizee: 4}}}\n")
    assert (found.code, found.hint) == ("lower.unknown_attribute", "did you mean 'size'?")
    assert under_caret(tmp_path, found).startswith("4")


def test_kind_that_the_target_cannot_make_names_those_that_can(tmp_path: Path, registry: Registry) -> None:
    (found,) = problems(tmp_path, registry, "resources:\n  r: {kind: model_registry}\n")
    assert (found.code, found.message) == ("lower.not_on_target", "fake cannot make a model_registry")
    assert found.hint == "targets that can: local"
    assert under_caret(tmp_path, found).startswith("model_registry")


def test_everything_that_is_wrong_is_reported_at_once_and_what_needs_it_is_left_alone(tmp_path: Path, registry: Registry) -> None:
    text = (
        "resources:\n  a: {kind: fake.thing}\n  b: {kind: data, input: '${a.address}'}\n  c: {kind: bucket, name: refuse}\n"
        "  d: {kind: bucket, name: crash}\n  e: {kind: bucket, name: forget}\n  f: {kind: fake.thng}\n  g: {kind: zork.thing}\n"
        "  h: {kind: bucket, target: fake.eu}\n  i: {kind: data, input: '${c.uri}'}\noutputs: {o: '${i.output}'}\n"
    )
    found = problems(tmp_path, registry, text)
    assert [(p.address, p.code) for p in found] == [
        ("a", "lower.missing_attribute"),
        ("c", "fake.refused"),
        ("d", "provider.bug"),
        ("e", "provider.bug"),
        ("f", "provider.unknown_type"),
        ("g", "provider.unknown"),
        ("", "provider.unknown_instance"),
    ]
    assert under_caret(tmp_path, found[1]).startswith("refuse")
    assert "ZeroDivisionError: oops" in found[2].message
    assert all(p.span is not None for p in found)


def test_reference_to_another_kind_is_refused_at_its_place(tmp_path: Path, registry: Registry) -> None:
    text = "resources:\n  a: {kind: data}\n  d: {kind: dataset, bucket: '${a}', source: x.csv, target: local}\n"
    found = problems(tmp_path, registry, text)
    assert "must refer to a bucket, not to a data" in found[0].message
    assert under_caret(tmp_path, found[0]).startswith("'${a}'")


def test_output_that_does_not_exist_is_found_when_the_provider_knows_it(tmp_path: Path, registry: Registry) -> None:
    text = "resources: {t: {kind: fake.thing, name: x}, u: {kind: data, input: {x: ['${t.adress}']}}}\noutputs: {o: '${t.nme}'}\n"
    used, output = problems(tmp_path, registry, text)
    assert (used.message, used.hint) == ("t has no output 'adress'", "did you mean 'address'?")
    assert under_caret(tmp_path, used).startswith("'${t.adress}'")
    assert output.message == "output o: t has no output 'nme'"


def test_expression_that_fails_on_a_constant_output_is_placed(tmp_path: Path, registry: Registry) -> None:
    (found,) = problems(tmp_path, registry, "resources: {raw: {kind: bucket}, u: {kind: data, input: '${int(raw.uri)}'}}\n")
    assert "cannot convert string to int" in found.message
    assert under_caret(tmp_path, found).startswith("'${int")


def test_settings_are_checked_by_the_providers_model(tmp_path: Path, registry: Registry) -> None:
    text = "providers: {fake: {regoin: x}}\nresources: {a: {kind: bucket}, b: {kind: bucket}}\n"
    (found,) = problems(tmp_path, registry, text)
    assert "did you mean 'region'?" in found.hint
    assert under_caret(tmp_path, found).startswith("regoin")


def test_settings_reach_the_lowering_by_instance(tmp_path: Path, registry: Registry) -> None:
    text = "providers: {fake: {region: one}, fake.eu: {region: two}}\nresources: {a: {kind: bucket}, b: {kind: bucket, target: fake.eu}}\n"
    stack = lowered(tmp_path, registry, text)
    assert stack.resources["a"].attributes["options"] == Map(where="one")
    assert stack.resources["b"].attributes["options"] == Map(where="two")
    assert stack.resources["b"].provider == "fake.eu"


def test_secret_settings_pass_the_check_and_stay_secret(tmp_path: Path, registry: Registry) -> None:
    text = "variables: {t: {sensitive: true}, r: {default: x}}\nproviders: {fake: {token: '${vars.t}', region: '${vars.r}'}}\n"
    text += "resources: {a: {kind: bucket}}\n"
    assert "hush" not in repr(lowered(tmp_path, registry, text, t="hush"))
    bad = text.replace("default: x", "default: 5").replace("{sensitive: true}", "{sensitive: true, type: integer}")
    found = problems(tmp_path, registry, bad, t="4711")
    assert len(found) == 2
    assert "4711" not in "".join(map(str, found))


def test_what_is_only_looked_up_is_one_resource_without_required_attributes(tmp_path: Path, registry: Registry) -> None:
    text = "resources: {a: {kind: bucket, existing: the-id}, t: {kind: fake.thing, existing: other}}\n"
    stack = lowered(tmp_path, registry, text)
    assert {r.address: r.existing for r in stack.resources.values()} == {"a": "the-id", "t": "other"}


def test_two_resources_of_one_address_are_refused(tmp_path: Path, registry: Registry) -> None:
    from mlinfra.kinds.data import Data

    def both(spec: Data, context: LoweringContext) -> Lowered:
        resource = context.resource("local.data", {"input": 1}, provider="local")
        return Lowered(resources=(resource, resource), outputs=Map(id=1, input=1, output=1))

    fake = Fake()
    fake.lowerings = {"data": both}
    (found,) = problems(tmp_path, Registry({"fake": fake, "local": registry.get("local")}), "resources: {a: {kind: data}}\n")
    assert found.code == "lower.duplicate_address"


def test_lowering_twice_gives_equal_stacks(tmp_path: Path, registry: Registry) -> None:
    text = (
        "resources:\n  raw: {kind: bucket}\n  b: {kind: data, for_each: {x: 1, y: 2}, input: '${each.value}-${raw.name}'}\n"
        "  c: {kind: data, input: '${b.map(k, b[k].output)}', depends_on: [raw]}\noutputs: {o: '${c.output}'}\n"
    )
    assert lowered(tmp_path, registry, text) == lowered(tmp_path, registry, text)


def lower_sharing(spec: Any, context: LoweringContext) -> Lowered:
    """A resource that stands on one that all share; ``name: odd`` breaks the promise that each gives the same."""
    size = 2 if spec.name == "odd" else 1
    base = context.shared("fake.thing", {"name": f"{context.project}-base", "size": size}, role="ground", depends_on=())
    main = context.resource("fake.thing", {"name": Ref(base.address, ("name",))})
    return Lowered(resources=(base, main), outputs=Map(id="x", name="x", uri="x"))


def test_what_components_share_is_one_resource_of_its_own(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fake, "lowerings", {"bucket": lower_sharing})
    text = "resources:\n  a: {kind: bucket, tags: {x: y}, native: {size: 5}}\n  b: {kind: bucket, depends_on: [a]}\n"
    stack = lowered(tmp_path, registry, text)
    assert sorted(stack.resources) == ["a", "b", "fake_base.ground"]
    shared = stack.resources["fake_base.ground"]
    assert (shared.component, shared.attributes, shared.depends_on) == ("fake_base", Map(name="demo-base", size=1), ())
    assert stack.resources["b"].depends_on == ("a",)


def test_what_components_share_must_be_the_same_from_each(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fake, "lowerings", {"bucket": lower_sharing})
    (problem,) = problems(tmp_path, registry, "resources:\n  a: {kind: bucket}\n  b: {kind: bucket, name: odd}\n")
    assert problem.code == "provider.bug" and "two different resources for fake_base.ground" in problem.message


def test_a_component_may_have_the_name_of_what_is_shared(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fake, "lowerings", {"bucket": lower_sharing})
    text = "resources:\n  a: {kind: bucket}\n  fake_base: {kind: fake.thing, name: mine}\n"
    stack = lowered(tmp_path, registry, text)
    assert stack.resources["fake_base"].attributes["name"] == "mine"
    assert stack.resources["fake_base.ground"].component == "fake_base"
