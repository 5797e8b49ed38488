"""Providers are found by entry point, loaded on first use, and missed with a sentence that helps."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from mlinfra.model.errors import PlanError
from mlinfra.provider import entries
from mlinfra.provider.contract import Lazy
from mlinfra.provider.registry import Registry


class Fake:
    def __init__(self, name: str, kinds: tuple[str, ...] = (), everywhere: frozenset[str] = frozenset()) -> None:
        self.name = name
        self.types: dict[str, Any] = {f"{name}.thing": object()}
        self.lowerings = {kind: f"{name} makes {kind}" for kind in kinds}
        self.everywhere = everywhere


@pytest.fixture
def providers() -> Registry:
    found: dict[str, Any] = {
        "here": Fake("here", ("bucket",)),
        "vectors": Fake("vectors", ("bucket", "collection"), frozenset({"collection"})),
    }
    return Registry(found)


def test_the_installed_local_provider_is_found() -> None:
    assert "local" in Registry().names()
    assert Registry().get("local").name == "local"


def test_an_instance_names_its_provider(providers: Registry) -> None:
    assert providers.get("here.eu") is providers.get("here")
    assert providers.has("here.eu") and not providers.has("there")


def test_an_unknown_provider_is_refused_with_the_installed_ones(providers: Registry) -> None:
    with pytest.raises(PlanError) as refused:
        providers.get("there")
    assert refused.value.diagnostics[0].code == "provider.unknown"
    assert "here, vectors" in refused.value.diagnostics[0].hint


def test_an_unknown_type_is_refused_with_those_there_are(providers: Registry) -> None:
    with pytest.raises(PlanError) as refused:
        providers.type("here.thong")
    assert refused.value.diagnostics[0].code == "provider.unknown_type"
    assert "here.thing" in refused.value.diagnostics[0].hint


def test_a_target_lowers_first_then_whoever_does_it_everywhere(providers: Registry) -> None:
    assert providers.lowering("here", "bucket") == "here makes bucket"
    assert providers.lowering("here", "collection") == "vectors makes collection"
    assert providers.lowering("here", "endpoint") is None


def test_a_provider_whose_library_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "installed", lambda: {"cloud": "no_such_module_of_ours:Provider"})
    with pytest.raises(PlanError) as refused:
        Registry().get("cloud")
    assert refused.value.diagnostics[0].code == "provider.missing_dependency"
    assert "mlinfra-iac[cloud]" in refused.value.diagnostics[0].hint


def test_lazy_types_are_imported_on_first_use_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    lazy: Lazy[Any] = Lazy({"rgb": "colorsys:rgb_to_hsv", "made": "collections:OrderedDict()"})
    assert set(lazy) == {"rgb", "made"} and "rgb" in lazy and len(lazy) == 2
    assert "colorsys" not in sys.modules
    assert callable(lazy["rgb"]) and "colorsys" in sys.modules
    assert lazy["made"] is lazy["made"]
