"""The providers that are installed: ours are read from our own entry points, anybody's are found too."""

from __future__ import annotations

import functools
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from mlinfra.provider import entries
from mlinfra.provider.registry import Registry

OURS = {"local", "docker", "aws", "gcp", "azure", "milvus"}


@pytest.fixture(autouse=True)
def forgotten() -> object:
    entries.ours.cache_clear()
    entries.installed.cache_clear()
    yield
    entries.ours.cache_clear()
    entries.installed.cache_clear()


def test_ours_are_what_importlib_finds_too() -> None:
    assert set(entries.ours()) == OURS
    assert entries.ours().items() <= {e.name: e.value for e in entry_points(group=entries.GROUP)}.items()


def test_anybodys_provider_comes_through_the_same_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "theirs-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[console_scripts]\nx = y:z\n\n[mlinfra.providers]\ntheirs = their_provider:Provider\nlocal = their_provider:Provider\n"
    )
    (tmp_path / "their_provider.py").write_text("class Provider:\n    name = 'theirs'\n    types = {}\n    lowerings = {}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = Registry()
    assert registry.has("theirs")
    assert registry.get("theirs").name == "theirs"
    assert type(registry.get("local")).__module__ == "mlinfra_local.provider"
    assert set(registry.names()) == OURS | {"theirs"}


def test_a_distribution_whose_files_cannot_be_read_is_found_by_importlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "ours", functools.cache(dict))
    assert set(entries.installed()) >= OURS
    assert Registry().get("local").name == "local"


def test_comments_and_other_groups_are_no_providers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mlinfra_iac-9.dist-info"
    folder.mkdir()
    (folder / "entry_points.txt").write_text("[a]\nb = c:d\n[ mlinfra.providers ]\n# no = thing:X\n one=m:P\n\n[z]\ntwo = m:Q\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert entries.ours() == {"one": "m:P"}
