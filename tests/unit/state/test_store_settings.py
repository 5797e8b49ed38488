"""The ``state:`` block: what it takes, what it refuses, and where it says so."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlinfra.model.errors import SpecError, StateError
from mlinfra.model.values import Map
from mlinfra.provider.registry import Registry
from mlinfra.state.store import Blob, StoreConflict, StoreUnavailable
from mlinfra.state.stores.opening import open_store
from mlinfra.state.stores.writing import ATTEMPTS, Transient, write_settled
from mlinfra.workspace import Options, validated

SPEC = "version: 1\nproject: p\nstate: {state}\nenvironments:\n  dev: {{target: local, state: {own}}}\nresources: {{}}\n"


def problems(folder: Path, state: str, own: str = "{}") -> list[Any]:
    (folder / "mlinfra.yaml").write_text(SPEC.format(state=state, own=own))
    with pytest.raises(SpecError) as raised:
        validated(Options(directory=folder), Registry())
    return list(raised.value.diagnostics)


def test_a_misspelt_key_is_shown_where_it_stands_with_what_was_meant(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "{store: s3, bukcet: x}")
    assert "no key 'bukcet'" in found.message and "did you mean 'bucket'" in found.hint
    assert (found.span.line, found.span.column) == (3, 20)


def test_a_wrong_value_of_the_environments_block_is_shown_there(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "{store: s3, bucket: x}", "{prefix: 1}")
    assert "state.prefix must be text" in found.message and found.span.line == 5


def test_an_unknown_store_lists_those_that_there_are(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "{store: s4}")
    assert "'s4'" in found.message and "postgres" in found.hint and found.span.line == 3


@pytest.mark.parametrize(
    "state",
    [
        '{store: postgres, conninfo: "postgresql://me:topsecret@db/x"}',
        '{store: postgres, conninfo: "host=db password=topsecret"}',
        '{store: http, address: "https://me:topsecret@host/x"}',
    ],
)
def test_a_password_in_the_spec_is_refused_and_not_repeated(tmp_path: Path, state: str) -> None:
    (found,) = problems(tmp_path, state)
    assert "no place for" in found.message and "topsecret" not in found.message + found.hint


@pytest.mark.parametrize(
    ("block", "module", "extra"),
    [
        ({"store": "s3", "bucket": "b"}, "boto3", "aws"),
        ({"store": "gcs", "bucket": "b"}, "google", "gcp"),
        ({"store": "azure", "container": "c", "account": "a"}, "azure", "azure"),
        ({"store": "postgres"}, "psycopg", "postgres"),
    ],
)
def test_a_missing_sdk_is_one_line_with_the_command_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, block: dict[str, str], module: str, extra: str
) -> None:
    import sys

    for name in [
        n
        for n in sys.modules
        if n.startswith("mlinfra.state.stores.") and n.rpartition(".")[2] in ("s3", "gcs", "azure_blob", "postgres")
    ]:
        monkeypatch.delitem(sys.modules, name)
    real: Callable[..., Any] = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == module:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(StateError) as raised:
        open_store(Map(block), Path())
    assert raised.value.diagnostics[0].hint == f"pip install 'mlinfra-iac[{extra}]'"


class Wire:
    """A blob behind a wire that loses answers: ``script`` says what becomes of each write."""

    def __init__(self, *script: str) -> None:
        self.script = list(script)
        self.blob: Blob | None = None
        self.writes = 0

    def put(self, data: bytes, version: str | None) -> str:
        what = self.script.pop(0) if self.script else "fine"
        if what == "turned away":
            raise Transient(StoreUnavailable("busy"))
        if (self.blob.version if self.blob else None) != version:
            raise StoreConflict("n")
        self.writes += 1
        self.blob = Blob(data, f"v{self.writes}")
        if what == "carried out, answer lost":
            raise Transient(StoreUnavailable("no answer"))
        return self.blob.version

    def write(self, data: bytes, version: str | None = None) -> str:
        return write_settled(lambda: self.put(data, version), lambda: self.blob, data, sleep=lambda _: None)


def test_a_write_whose_answer_was_lost_is_recognised_as_ours() -> None:
    wire = Wire("carried out, answer lost")
    assert wire.write(b"mine") == "v1" and wire.writes == 1


def test_a_write_that_another_overtook_while_we_waited_is_a_conflict() -> None:
    wire = Wire("turned away")
    wire.blob = Blob(b"theirs", "v9")
    with pytest.raises(StoreConflict):
        wire.write(b"mine")


def test_a_conflict_at_the_first_attempt_is_one_even_when_the_bytes_are_the_same() -> None:
    wire = Wire()
    wire.blob = Blob(b"6", "v9")
    with pytest.raises(StoreConflict):
        wire.write(b"6", "v8")


def test_a_store_that_stays_away_is_said_to_be_unavailable() -> None:
    wire = Wire(*["turned away"] * ATTEMPTS)
    with pytest.raises(StoreUnavailable, match="busy"):
        wire.write(b"mine")
