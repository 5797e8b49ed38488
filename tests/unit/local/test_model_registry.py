"""MLflow registry, registered models, versions and aliases on local: against a real MLflow store."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from serving_models import save_model

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import Map, freeze
from mlinfra.provider import files
from mlinfra.provider.contract import ProviderContext
from mlinfra.provider.failures import AlreadyExists, Invalid, NotFound
from mlinfra_local import mlflow_store, services
from mlinfra_local.client import LocalClient
from mlinfra_local.resources.model import RegisteredModel
from mlinfra_local.resources.model_aliases import ModelAliases
from mlinfra_local.resources.model_version import ModelVersion
from mlinfra_local.resources.registry import Registry
from mlinfra_local.settings import LocalConfig

pytestmark = pytest.mark.anyio
TOKEN = "0123456789abcdef" * 2


def desired(type: str, **attributes: Any) -> Desired:
    return Desired(address="router", type=type, attributes=freeze(attributes))


def state(type: str, observed: Observed, inputs: Mapping[str, Any] = Map()) -> ResourceState:
    attributes = Map({**inputs, **observed.attributes})
    return ResourceState(address="router", type=type, provider="local", id=observed.id, attributes=attributes)


def make_client(base: Path) -> LocalClient:
    return LocalClient(
        LocalConfig(), ProviderContext(project="p", environment="dev", base=base, data=base / ".mlinfra" / "local")
    )


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry, made once: MLflow takes seconds to make its tables."""
    base = tmp_path_factory.mktemp("template")
    asyncio.run(Registry().create(make_client(base), desired("local.registry", name="main", ui=False), TOKEN))
    return base


@pytest.fixture
def client(template: Path, tmp_path: Path) -> Iterator[LocalClient]:
    shutil.copytree(template / ".mlinfra", tmp_path / ".mlinfra")
    save_model(tmp_path / "models" / "one", "one")
    save_model(tmp_path / "models" / "two", "two")
    yield make_client(tmp_path)


async def registered(client: LocalClient) -> Observed:
    wanted = desired("local.model", registry="main", name="router", description="routes", tags={"team": "ml"})
    return await RegisteredModel().create(client, wanted, TOKEN)


def version_of(client: LocalClient, name: str, version: str = "v1", **more: Any) -> Desired:
    content = files.digest(client.base, f"models/{name}").digest
    settings = {"description": "", "tags": {}, **more}
    return desired(
        "local.model_version",
        registry="main",
        model="router",
        version=version,
        path=f"models/{name}",
        content=content,
        **settings,
    )


async def test_a_registry_is_read_back_as_made_and_its_artifacts_stay_in_its_folder(client: LocalClient) -> None:
    found = await Registry().adopt(client, "main")
    assert found is not None
    assert found.attributes["uri"] == "local://registries/main"
    assert found.attributes["status"] == "ready"
    folder = client.folder("registries", "main")
    with mlflow_store.opened(folder):
        from mlflow import MlflowClient

        experiment = MlflowClient(tracking_uri=str(found.attributes["tracking_uri"])).get_experiment("0")
    assert experiment.artifact_location.endswith("/registries/main/artifacts/0")


async def test_a_registry_is_found_only_by_the_operation_that_made_it(client: LocalClient) -> None:
    wanted = desired("local.registry", name="main", ui=False)
    assert await Registry().find(client, wanted, TOKEN) is not None
    assert await Registry().find(client, wanted, "f" * 32) is None
    with pytest.raises(AlreadyExists):
        await Registry().create(client, wanted, "f" * 32)


async def test_a_database_that_is_gone_is_drift_and_is_made_again_empty(client: LocalClient) -> None:
    await registered(client)
    folder = client.folder("registries", "main")
    made = await Registry().adopt(client, "main")
    assert made is not None
    recorded = state("local.registry", made)
    (folder / "mlflow.db").unlink()
    seen = await Registry().read(client, recorded)
    assert seen is not None
    assert seen.attributes["status"] == "lost"
    assert await Registry().update(client, recorded, desired("local.registry", name="main", ui=False)) == made
    assert mlflow_store.models(folder) == {}


async def test_a_kill_while_mlflow_makes_its_tables_leaves_no_half_made_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(tmp_path)
    folder = client.folder("registries", "main")
    wanted = desired("local.registry", name="main", ui=False)
    store_type = mlflow_store._store_type()

    class Killed(BaseException):
        """Nothing but a handler of ours would catch it."""

    def migrates_half(uri: str) -> None:
        with contextlib.closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection:
            connection.execute("CREATE TABLE review_queues (queue_id VARCHAR)")
        raise Killed

    monkeypatch.setattr(mlflow_store, "_store_type", lambda: migrates_half)
    with pytest.raises(Killed):
        await Registry().create(client, wanted, TOKEN)
    assert not mlflow_store.exists(folder)
    monkeypatch.setattr(mlflow_store, "_store_type", lambda: store_type)
    found = await Registry().find(client, wanted, TOKEN)
    assert found is not None
    assert found.attributes["status"] == "ready"
    assert mlflow_store.models(folder) == {}


async def test_deleting_a_registry_twice_leaves_no_file(client: LocalClient) -> None:
    found = await Registry().adopt(client, "main")
    assert found is not None
    recorded = state("local.registry", found)
    await Registry().delete(client, recorded)
    await Registry().delete(client, recorded)
    assert not client.folder("registries", "main").exists()
    assert await Registry().read(client, recorded) is None


async def test_a_registry_that_was_deleted_can_be_made_again_in_the_same_process(client: LocalClient) -> None:
    await registered(client)
    found = await Registry().adopt(client, "main")
    assert found is not None
    await Registry().delete(client, state("local.registry", found))
    await Registry().create(client, desired("local.registry", name="main", ui=False), "a" * 32)
    assert mlflow_store.models(client.folder("registries", "main")) == {}
    await registered(client)
    assert set(mlflow_store.models(client.folder("registries", "main"))) == {"router"}


async def test_a_web_page_without_the_full_mlflow_is_refused_before_anything_is_made(
    client: LocalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(Invalid) as caught:
        await Registry().create(client, desired("local.registry", name="other", ui=True), TOKEN)
    assert caught.value.path == ("ui",)
    assert "pip install mlflow==" in caught.value.hint
    assert not client.folder("registries", "other").exists()


@pytest.mark.live
async def test_the_web_page_is_served_seen_dead_started_again_at_its_url_and_taken_down(client: LocalClient) -> None:
    if not has_full_mlflow():
        pytest.skip("the full MLflow is not installed: pip install mlflow")
    wanted = desired("local.registry", name="main", ui=True)
    found = await Registry().adopt(client, "main")
    assert found is not None
    made = await Registry().update(client, state("local.registry", found), wanted)
    recorded = state("local.registry", made)
    folder = client.folder("registries", "main") / "ui"
    live = services.status(folder)
    assert live is not None
    assert services.answers_http("/")(live.port)
    psutil.Process(live.pid).kill()
    seen = await Registry().read(client, recorded)
    assert seen is not None
    assert seen.attributes["status"] == "stopped"
    assert await Registry().update(client, recorded, wanted) == made
    await Registry().update(client, recorded, desired("local.registry", name="main", ui=False))
    assert services.find_strays(folder) == []


def has_full_mlflow() -> bool:
    try:
        importlib.metadata.distribution("mlflow")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


async def test_a_registered_model_changes_in_place_and_keeps_what_is_ours_apart(client: LocalClient) -> None:
    made = await registered(client)
    assert made.attributes["tags"] == {"team": "ml"}
    wanted = desired("local.model", registry="main", name="router", description="routes better", tags={"owner": "me"})
    changed = await RegisteredModel().update(client, state("local.model", made), wanted)
    assert (changed.id, changed.attributes["description"], changed.attributes["tags"]) == (
        made.id,
        "routes better",
        {"owner": "me"},
    )
    assert await RegisteredModel().find(client, wanted, TOKEN) == changed


async def test_a_model_that_somebody_else_registered_is_not_touched(client: LocalClient) -> None:
    with mlflow_store.opened(client.folder("registries", "main")) as store:
        store.create_registered_model("router")
    with pytest.raises(AlreadyExists) as caught:
        await registered(client)
    assert caught.value.import_id == "main/router"


async def test_a_version_holds_a_copy_that_mlflow_can_load(client: LocalClient) -> None:
    await registered(client)
    made = await ModelVersion().create(client, version_of(client, "one"), TOKEN)
    assert made.id == "main/router/1"
    shutil.rmtree(client.base / "models" / "one")
    import mlflow

    model = mlflow.pyfunc.load_model(str(client.path_of(str(made.attributes["uri"]))))
    assert model.predict([1, 2]) == ["one", "one"]


async def test_predicted_attributes_come_true(client: LocalClient) -> None:
    await registered(client)
    wanted = version_of(client, "one")
    assert ModelVersion.schema.predict is not None
    predicted = ModelVersion.schema.predict(wanted.attributes)
    made = await ModelVersion().create(client, wanted, TOKEN)
    assert {name: made.attributes[name] for name in predicted} == predicted
    assert set(predicted) == {"digest", "uri", "status"}


async def test_a_folder_that_is_no_model_and_bytes_that_changed_since_the_plan_are_refused(client: LocalClient) -> None:
    await registered(client)
    wanted = version_of(client, "one")
    (client.base / "models" / "one" / "answer.txt").write_text("other")
    with pytest.raises(Invalid, match="changed since the plan"):
        await ModelVersion().create(client, wanted, TOKEN)
    (client.base / "models" / "one" / "MLmodel").unlink()
    with pytest.raises(Invalid, match="no MLmodel file"):
        await ModelVersion().create(client, wanted, TOKEN)
    assert list((client.folder("registries", "main") / "models" / "router").iterdir()) == []


async def test_two_versions_of_the_same_content_share_a_copy_and_are_deleted_apart(client: LocalClient) -> None:
    await registered(client)
    first = await ModelVersion().create(client, version_of(client, "one", "v1"), TOKEN)
    second = await ModelVersion().create(client, version_of(client, "one", "v2"), "b" * 32)
    assert first.id != second.id
    assert first.attributes["uri"] == second.attributes["uri"]
    await ModelVersion().delete(client, state("local.model_version", first))
    await ModelVersion().delete(client, state("local.model_version", first))
    assert await ModelVersion().read(client, state("local.model_version", first)) is None
    assert await ModelVersion().read(client, state("local.model_version", second)) == second


async def test_a_rollback_brings_back_content_that_is_gone_from_its_folder(client: LocalClient) -> None:
    await registered(client)
    wanted = version_of(client, "one")
    made = await ModelVersion().create(client, wanted, TOKEN)
    await ModelVersion().delete(client, state("local.model_version", made))
    shutil.rmtree(client.base / "models" / "one")
    again = await ModelVersion().create(client, wanted, "b" * 32)
    assert again.attributes["status"] == "ready"
    assert again.attributes["digest"] == made.attributes["digest"]


async def test_only_the_last_few_retired_artifacts_are_kept(client: LocalClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_store, "_RETIRED_KEPT", 1)
    await registered(client)
    for name in ("one", "two"):
        made = await ModelVersion().create(client, version_of(client, name), TOKEN)
        await ModelVersion().delete(client, state("local.model_version", made))
    left = set((client.folder("registries", "main") / "models" / "router").iterdir())
    artifact = client.path_of(str(made.attributes["uri"]))
    assert left == {artifact, artifact.with_name(f"{artifact.name}.json")}


async def test_a_lost_artifact_is_seen_and_repaired(client: LocalClient) -> None:
    await registered(client)
    wanted = version_of(client, "one")
    made = await ModelVersion().create(client, wanted, TOKEN)
    recorded = state("local.model_version", made, wanted.attributes)
    shutil.rmtree(client.path_of(str(made.attributes["uri"])))
    seen = await ModelVersion().read(client, recorded)
    assert seen is not None
    assert seen.attributes["status"] == "artifact missing"
    assert await ModelVersion().update(client, recorded, wanted) == made


async def test_an_edited_artifact_is_seen_and_repaired_and_compiled_modules_beside_it_are_not_an_edit(
    client: LocalClient,
) -> None:
    await registered(client)
    wanted = version_of(client, "one")
    made = await ModelVersion().create(client, wanted, TOKEN)
    recorded = state("local.model_version", made, wanted.attributes)
    kept = client.path_of(str(made.attributes["uri"]))
    (kept / "code" / "__pycache__").mkdir(parents=True)
    (kept / "code" / "__pycache__" / "model.cpython-311.pyc").write_bytes(b"compiled")
    assert await ModelVersion().read(client, recorded) == made
    with (kept / "MLmodel").open("a") as file:
        file.write("# by hand\n")
    seen = await ModelVersion().read(client, recorded)
    assert seen is not None
    assert seen.attributes["status"] == "artifact changed"
    assert await ModelVersion().update(client, recorded, wanted) == made
    assert "by hand" not in (kept / "MLmodel").read_text()


async def test_after_a_crash_a_version_is_found_by_its_operation_only(client: LocalClient) -> None:
    await registered(client)
    wanted = version_of(client, "one")
    mlflow_store.keep_artifact(client.folder("registries", "main"), "router", client.base / "models" / "one", None)
    assert await ModelVersion().find(client, wanted, TOKEN) is None
    made = await ModelVersion().create(client, wanted, TOKEN)
    assert await ModelVersion().find(client, wanted, TOKEN) == made
    assert await ModelVersion().find(client, wanted, "f" * 32) is None


async def test_an_alias_moved_by_hand_is_seen_and_put_back_and_other_aliases_are_left_alone(client: LocalClient) -> None:
    await registered(client)
    await ModelVersion().create(client, version_of(client, "one", "v1"), TOKEN)
    await ModelVersion().create(client, version_of(client, "two", "v2"), "b" * 32)
    wanted = desired("local.model_aliases", registry="main", model="router", aliases={"champion": 1, "challenger": 2})
    made = await ModelAliases().create(client, wanted, TOKEN)
    recorded = state("local.model_aliases", made)
    folder = client.folder("registries", "main")
    with mlflow_store.opened(folder) as store:
        store.set_registered_model_alias("router", "champion", 2)
        store.set_registered_model_alias("router", "mine", 1)
    seen = await ModelAliases().read(client, recorded)
    assert seen is not None
    assert seen.attributes["aliases"] == {"champion": 2, "challenger": 2}
    assert await ModelAliases().update(client, recorded, wanted) == made
    only = desired("local.model_aliases", registry="main", model="router", aliases={"champion": 2})
    await ModelAliases().update(client, recorded, only)
    assert mlflow_store.models(folder)["router"].aliases == {"champion": 2, "mine": 1}
    await ModelAliases().delete(client, recorded)
    assert mlflow_store.models(folder)["router"].aliases == {"mine": 1}


async def test_reading_the_tables_agrees_with_reading_through_mlflow(client: LocalClient) -> None:
    await registered(client)
    await ModelVersion().create(client, version_of(client, "one", "v1", description="first", tags={"a": "b"}), TOKEN)
    gone = await ModelVersion().create(client, version_of(client, "two", "v2"), "b" * 32)
    await ModelVersion().delete(client, state("local.model_version", gone))
    folder = client.folder("registries", "main")
    assert mlflow_store._read_tables(folder) == mlflow_store._read_through_mlflow(folder)
    assert len(mlflow_store.models(folder)["router"].versions) == 1


async def test_deleting_a_model_takes_its_versions_and_artifacts_along(client: LocalClient) -> None:
    made = await registered(client)
    await ModelVersion().create(client, version_of(client, "one"), TOKEN)
    recorded = state("local.model", made)
    assert await RegisteredModel().stake(client, recorded) == "1 version"
    await RegisteredModel().delete(client, recorded)
    await RegisteredModel().delete(client, recorded)
    assert await RegisteredModel().read(client, recorded) is None
    assert not (client.folder("registries", "main") / "models" / "router").exists()


async def test_a_version_of_a_model_that_is_not_there_is_refused(client: LocalClient) -> None:
    with pytest.raises(NotFound):
        await ModelVersion().create(client, version_of(client, "one"), TOKEN)
