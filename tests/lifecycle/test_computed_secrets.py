"""A secret that a provider made: read again where its provider tells it, kept encrypted where the state is, else known by its
digest alone; dependents that do not change stay as they are in every case."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from fakes.cloud import Cloud, FakeProvider, ThingType
from fakes.lab import Lab, thing

from mlinfra.model.resource import Observed, Resource, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Expr, Map, Ref, Sealed, Secret, SecretDigest
from mlinfra.plan.file import PlanFile, read_plan, write_plan
from mlinfra.provider.registry import Registry
from mlinfra.state.encryption.rotation import rotate
from mlinfra.state.encryption.sources import Encryption, KeySource
from mlinfra.state.encryption.store import EncryptedStore
from mlinfra.state.session import Location
from mlinfra.state.stores.local import LocalStore


class DatabaseType(ThingType):
    """``fake.database``: its ``password`` is made by the cloud; ``tells`` says whether a read shows it again."""

    schema = Schema(
        attributes={
            "name": Attribute(type="string", required=True, immutable=True),
            "size": Attribute(),
            "password": Attribute(type="string", computed=True, sensitive=True),
            "url": Attribute(type="string", computed=True),
        }
    )
    type_name = "fake.database"

    def __init__(self, *, tells: bool) -> None:
        self.tells = tells

    def _made(self, desired: Any, client: Cloud) -> dict[str, Any]:
        made = super()._made(desired, client)
        made.pop("status")
        return {**made, "password": f"planted-{made['name']}-password"}

    async def read(self, client: Cloud, recorded: ResourceState) -> Observed | None:
        found = await super().read(client, recorded)
        if found is None or self.tells:
            return found
        return Observed(found.id, Map({k: v for k, v in found.attributes.items() if k != "password"}))

    async def update(self, client: Cloud, recorded: ResourceState, desired: Any) -> Observed:
        found = await super().update(client, recorded, desired)
        return found if self.tells else Observed(found.id, Map({k: v for k, v in found.attributes.items() if k != "password"}))


class SecretLab(Lab):
    """A lab whose cloud makes passwords; encrypted when ``encrypted``."""

    def __init__(self, folder: Path, *, tells: bool, encrypted: bool) -> None:
        super().__init__(folder)
        provider = FakeProvider(self.cloud)
        provider.types = {**provider.types, "fake.database": DatabaseType(tells=tells)}
        self.registry = Registry({"fake": provider, "local": Registry().get("local")})
        self.encryption = Encryption((KeySource("env", "LAB_KEY"),)) if encrypted else None

    @property
    def location(self) -> Location:
        store = EncryptedStore(LocalStore(self.folder / "state"), "p/default/", self.encryption)
        return Location(store, "p/default/", encryption=self.encryption)

    def written(self) -> bytes:
        return b"".join(p.read_bytes() for p in self.folder.rglob("*") if p.is_file())


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_KEY", base64.b64encode(os.urandom(32)).decode())


def stack(*, size: int = 1, value: int = 1) -> list[Resource]:
    """A database, one that takes its password as it is, and one that puts it into a text."""
    address = Expr("${'u:' + db.password + '@h'}", ((("db", "password"), Ref("db", ("password",))),))
    return [
        thing("db", type="fake.database", size=size),
        thing("user", password=Ref("db", ("password",)), value=value),
        thing("text", value={"address": address, "n": value}),
    ]


CASES = [(True, False), (True, True), (False, True)]


@pytest.mark.parametrize(("tells", "encrypted"), CASES)
def test_dependents_get_it_and_nothing_that_is_written_shows_it(tmp_path: Path, tells: bool, encrypted: bool) -> None:
    lab = SecretLab(tmp_path, tells=tells, encrypted=encrypted)
    assert not lab.run(*stack()).failures
    assert lab.cloud.named("user").attributes["password"] == "planted-db-password"  # type: ignore[union-attr]
    assert lab.cloud.named("text").attributes["value"]["address"] == "u:planted-db-password@h"  # type: ignore[union-attr]
    kept = lab.state.get("db").attributes["password"]  # type: ignore[union-attr]
    assert isinstance(kept, Sealed if encrypted else SecretDigest)
    assert b"planted" not in lab.written() and "planted" not in repr(lab.events) + repr(lab.state)


@pytest.mark.parametrize("refresh", [True, False])
@pytest.mark.parametrize(("tells", "encrypted"), [*CASES, (False, False)])
def test_nothing_changed_is_an_empty_plan(tmp_path: Path, tells: bool, encrypted: bool, refresh: bool) -> None:
    lab = SecretLab(tmp_path, tells=tells, encrypted=encrypted)
    lab.run(*stack(), outputs={"pw": Ref("db", ("password",))}, sensitive_outputs=("pw",))
    plan = lab.plan(*stack(), outputs={"pw": Ref("db", ("password",))}, sensitive_outputs=("pw",), refresh=refresh).plan
    assert lab.actions(lab.plan(*stack(), refresh=refresh)) == {}
    assert plan.is_empty and not plan.output_changes and not plan.drift


@pytest.mark.parametrize(("tells", "encrypted"), CASES)
@pytest.mark.parametrize("refresh", [True, False])
def test_a_later_change_of_a_dependent_gets_it_again(tmp_path: Path, tells: bool, encrypted: bool, refresh: bool) -> None:
    lab = SecretLab(tmp_path, tells=tells, encrypted=encrypted)
    lab.run(*stack())
    for name in ("user", "text"):
        lab.cloud.named(name).attributes.pop("password", None)  # type: ignore[union-attr]
    made = lab.plan(*stack(value=2), refresh=refresh)
    assert set(lab.actions(made)) == {"user", "text"}
    assert not lab.apply(made).failures
    assert lab.cloud.named("user").attributes["password"] == "planted-db-password"  # type: ignore[union-attr]
    assert lab.cloud.named("text").attributes["value"]["address"] == "u:planted-db-password@h"  # type: ignore[union-attr]
    assert b"planted" not in lab.written()


@pytest.mark.parametrize(("tells", "encrypted"), CASES)
def test_a_saved_plan_gets_it_again_too(tmp_path: Path, tells: bool, encrypted: bool) -> None:
    lab = SecretLab(tmp_path, tells=tells, encrypted=encrypted)
    lab.run(*stack())
    made = lab.plan(*stack(value=2))
    write_plan(tmp_path / "x.plan", PlanFile(plan=made.plan), lab.location.sealer())
    loaded = type(made)(read_plan(tmp_path / "x.plan").plan, made.state)
    assert not lab.apply(loaded).failures
    assert lab.cloud.named("text").attributes["value"]["address"] == "u:planted-db-password@h"  # type: ignore[union-attr]


def test_what_nobody_tells_or_keeps_is_said_and_how_to_keep_it(tmp_path: Path) -> None:
    lab = SecretLab(tmp_path, tells=False, encrypted=False)
    lab.run(*stack())
    made = lab.plan(*stack(value=2))
    failures = lab.apply(made).failures
    assert {f.address for f in failures} == {"user", "text"}
    assert all("needs a secret of db" in f.message and "state.encryption" in f.hint for f in failures)


def test_a_text_made_with_a_secret_that_is_not_kept_is_taken_as_recorded_with_a_warning(tmp_path: Path) -> None:
    lab = SecretLab(tmp_path, tells=False, encrypted=False)
    lab.run(*stack())
    plan = lab.plan(*stack()).plan
    assert [w.code for w in plan.warnings] == ["plan.secret_not_kept"] and plan.warnings[0].address == "text"
    kept = SecretLab(tmp_path / "kept", tells=False, encrypted=True)
    kept.run(*stack())
    assert not kept.plan(*stack()).plan.warnings


def test_a_changed_owner_passes_its_secret_on(tmp_path: Path) -> None:
    """The database is updated, its password stays: dependents stay; it is replaced: they get the new one."""
    lab = SecretLab(tmp_path, tells=False, encrypted=True)
    lab.run(*stack())
    assert not lab.run(*stack(size=2)).failures
    assert lab.state.get("db").attributes["password"] == lab.state.get("user").attributes["password"]  # type: ignore[union-attr]
    assert isinstance(lab.state.get("db").attributes["password"], Sealed)  # type: ignore[union-attr]
    again = [thing("db", type="fake.database", name="db2"), *stack()[1:]]
    assert not lab.run(*again).failures
    assert lab.cloud.named("user").attributes["password"] == "planted-db2-password"  # type: ignore[union-attr]
    assert lab.plan(*again).plan.is_empty


def test_a_sensitive_output_is_kept_where_the_state_is_encrypted(tmp_path: Path) -> None:
    outputs: dict[str, Any] = {"outputs": {"pw": Ref("db", ("password",))}, "sensitive_outputs": ("pw",)}
    lab = SecretLab(tmp_path, tells=False, encrypted=True)
    assert lab.run(*stack(), **outputs).outputs["pw"] == Secret("planted-db-password")
    location = lab.location
    assert location.sealer().open(location.read().outputs["pw"]) == Secret("planted-db-password")
    serial = lab.state.serial
    lab.run(*stack(value=2), **outputs)
    first = lab.state.outputs["pw"]
    lab.run(*stack(value=3), **outputs)
    assert lab.state.serial > serial and lab.state.outputs["pw"].ciphertext == first.ciphertext


def test_an_output_that_was_recorded_before_encryption_is_kept_from_the_next_apply_on(tmp_path: Path) -> None:
    outputs: dict[str, Any] = {"outputs": {"pw": Ref("db", ("password",))}, "sensitive_outputs": ("pw",)}
    lab = SecretLab(tmp_path, tells=True, encrypted=False)
    lab.run(*stack(), **outputs)
    lab.encryption = Encryption((KeySource("env", "LAB_KEY"),))
    assert lab.plan(*stack(), **outputs).plan.is_empty
    lab.run(*stack(value=2), **outputs)
    assert isinstance(lab.state.outputs["pw"], Sealed)


def test_plans_stay_empty_after_the_key_was_rotated(tmp_path: Path) -> None:
    lab = SecretLab(tmp_path, tells=False, encrypted=True)
    lab.run(*stack(), thing("own", password=Secret("given-secret")))
    rotate(lab.location)
    assert lab.plan(*stack(), thing("own", password=Secret("given-secret"))).plan.is_empty
    assert not lab.run(*stack(value=2), thing("own", password=Secret("given-secret"))).failures
