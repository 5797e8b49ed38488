"""Connections: which token goes where, what failures mean, and what an id names."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mlinfra.model.values import Map, Secret, SecretDigest
from mlinfra.provider.contract import ProviderContext
from mlinfra.provider.failures import AlreadyExists, Denied, Failure, Invalid, NotFound, Quota, Throttled, Timeout, Transient
from mlinfra_milvus.client import MilvusClients, MilvusConfig, _failure
from mlinfra_milvus.places import made_by, place, where

URI = "http://milvus.example:19530"


def clients(config: MilvusConfig | None = None) -> MilvusClients:
    folder = Path("/nowhere")
    return MilvusClients(config or MilvusConfig(), ProviderContext(project="p", environment="", base=folder, data=folder))


def test_a_recorded_resource_is_read_with_the_token_that_a_desired_one_brought() -> None:
    made = clients()
    assert made.server(Map(uri=URI, token=SecretDigest("00"))).token == ""
    assert made.server(Map(uri=URI, token=Secret("root:pw"))).token == "root:pw"
    assert made.server(Map(uri=URI, token=SecretDigest("00"))).token == "root:pw"
    assert made.server(Map(uri=URI, database="other")).token == "root:pw"
    assert made.server(Map(uri="http://elsewhere.example")).token == ""


def test_the_settings_and_the_environment_give_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    assert clients(MilvusConfig.model_validate({"token": Secret("a:b")})).server(Map(uri=URI)).token == "a:b"
    assert "a:b" not in repr(MilvusConfig.model_validate({"token": "a:b"}))
    monkeypatch.setenv("MILVUS_TOKEN", "c:d")
    assert clients().server(Map(uri=URI)).token == "c:d"


def test_one_connection_serves_all_resources_of_a_database() -> None:
    made = clients()
    assert made.server(Map(uri=URI)) is made.server(Map(uri=URI, database="default", name="x"))
    assert made.server(Map(uri=URI)) is not made.server(Map(uri=URI, database="other"))
    asyncio.run(made.close())


class Refused(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (100, "collection 'x' does not exist", NotFound),
        (1600, "alias", NotFound),
        (1, "collection 'x' already exists", AlreadyExists),
        (8, "slow", Throttled),
        (7, "full", Quota),
        (1400, "who", Denied),
        (65535, "auth check failure, please check api key", Denied),
        (2, "Fail connecting to server on x", Transient),
        (1, "service not ready", Transient),
        (1100, "invalid parameter", Invalid),
        (1, "anything else", Invalid),
    ],
)
def test_a_servers_answer_becomes_a_failure_of_the_contract(code: int, message: str, kind: type[Failure]) -> None:
    assert type(_failure(Refused(code, message), URI)) is kind


def test_what_grpc_says_becomes_a_failure_of_the_contract() -> None:
    import grpc

    class Lost(grpc.RpcError):
        def __init__(self, status: grpc.StatusCode) -> None:
            self.status = status

        def code(self) -> grpc.StatusCode:
            return self.status

        def details(self) -> str:
            return "lost"

    assert type(_failure(Lost(grpc.StatusCode.UNAVAILABLE), URI)) is Transient
    assert type(_failure(Lost(grpc.StatusCode.DEADLINE_EXCEEDED), URI)) is Timeout
    assert type(_failure(Lost(grpc.StatusCode.UNAUTHENTICATED), URI)) is Denied


def test_an_id_is_a_place_and_who_made_it() -> None:
    id = place(URI, "default", "tickets", "0123456789abcdef")
    assert id == f"{URI}/default/tickets#01234567"
    assert where(id) == (Map(uri=URI, database="default"), "tickets")
    assert made_by(id) == "01234567"
    assert where(f"{URI}/tickets") == (Map(uri=URI, database="default"), "tickets")
    for wrong in ("tickets", URI, f"{URI}/a/b/c"):
        with pytest.raises(Invalid, match="no place"):
            where(wrong)
