"""The one document of the HTTP store: larger blobs are deflated in it, what was written before that is read, newer is refused."""

from __future__ import annotations

import json

import pytest

from mlinfra.model.errors import StateError
from mlinfra.state.stores.http_document import LARGE, Document, decode, encode


@pytest.mark.parametrize("data", [b"", b"small", b'{"a": 1}\n' * LARGE, bytes(range(256)) * 8, b"\xff\x00"])
def test_a_blob_comes_back_as_it_was(data: bytes) -> None:
    document = Document().put("k", data, None)
    assert decode(encode(document), "there").blobs["k"].data == data


def test_what_repeats_itself_takes_little_room() -> None:
    assert len(encode(Document().put("k", b'{"address": "thing"}\n' * 5000, None))) < 5000


def test_a_document_of_the_first_format_is_read() -> None:
    old = {
        "mlinfra_state": 1,
        "serial": 4,
        "lineage": "x",
        "holder": None,
        "blobs": {"k": {"version": 3, "text": "a" * 2 * LARGE}},
    }
    found = decode(json.dumps(old).encode(), "there")
    assert found.serial == 4 and found.blobs["k"].data == b"a" * 2 * LARGE and found.blobs["k"].version == "3"


def test_a_newer_one_is_refused() -> None:
    with pytest.raises(StateError, match="does not read"):
        decode(b'{"mlinfra_state": 3}', "there")
