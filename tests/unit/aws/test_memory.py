"""The C library is told to give back what is freed, where it can be told."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import pytest

from mlinfra_aws.memory import give_back


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    told: list[tuple[int, int]] = []
    library = SimpleNamespace(mallopt=lambda *option: told.append(option))
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    return told


def test_glibc_keeps_little_and_has_one_arena(monkeypatch: pytest.MonkeyPatch, told: list[tuple[int, int]]) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    give_back()
    assert told == [(-1, 128 * 1024), (-8, 1)]


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch, told: list[tuple[int, int]]) -> None:
    for platform in ("darwin", "win32"):
        monkeypatch.setattr("sys.platform", platform)
        give_back()
    assert told == []


@pytest.mark.parametrize("library", [SimpleNamespace(), OSError("no dlopen here")])
def test_a_library_without_such_a_call_is_left_alone(monkeypatch: pytest.MonkeyPatch, library: Any) -> None:
    def opened(_: None) -> Any:
        if isinstance(library, Exception):
            raise library
        return library

    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", opened)
    give_back()
