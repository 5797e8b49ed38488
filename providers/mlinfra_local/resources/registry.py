"""``local.registry``: an MLflow registry on SQLite in a folder; a web page for it when asked."""

from __future__ import annotations

import asyncio
import importlib.metadata
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Value
from mlinfra.provider.failures import AlreadyExists, Failure, Invalid
from mlinfra_local import mlflow_store, services
from mlinfra_local.client import LocalClient
from mlinfra_local.follow import follow_log


def _predict(attributes: Map) -> Mapping[str, Value]:
    name, ui, port = attributes.get("name"), attributes.get("ui", False), attributes.get("port")
    known: dict[str, Value] = {}
    if isinstance(name, str):
        known["uri"] = f"local://registries/{name}"
    if isinstance(ui, bool):
        known["status"] = "running" if ui else "ready"
        if not ui:
            known["ui_url"] = ""
        elif isinstance(port, int):
            known["ui_url"] = f"http://{services.HOST}:{port}"
    return known


class Registry:
    """``registries/NAME`` below the data folder. ``tracking_uri`` is what MLflow's clients take, absolute on this machine;
    ``status`` is ``ready``, or ``running``/``stopped`` for the web page's process, or ``lost`` when MLflow's database is gone
    from the folder."""

    schema = Schema(
        attributes={
            "name": Attribute(type="string", required=True, immutable=True, source="the directory's name"),
            "description": Attribute(type="string"),
            "ui": Attribute(type="boolean"),
            "port": Attribute(type="integer"),
            "uri": Attribute(type="string", computed=True),
            "tracking_uri": Attribute(type="string", computed=True, volatile=True),
            "ui_url": Attribute(type="string", computed=True),
            "status": Attribute(type="string", computed=True),
        },
        predict=_predict,
        holds_data=True,
    )

    async def read(self, client: LocalClient, recorded: ResourceState) -> Observed | None:
        return await asyncio.to_thread(_read, client.folder("registries", recorded.id))

    async def create(self, client: LocalClient, desired: Desired, token: str) -> Observed:
        folder = client.folder("registries", str(desired.attributes["name"]))
        return await asyncio.to_thread(_create, folder, desired, token)

    async def update(self, client: LocalClient, recorded: ResourceState, desired: Desired) -> Observed:
        folder = client.folder("registries", recorded.id)
        return await asyncio.to_thread(_settle, folder, desired, str(mlflow_store.marker(folder).get("op", "")))

    async def delete(self, client: LocalClient, recorded: ResourceState) -> None:
        await asyncio.to_thread(_delete, client.folder("registries", recorded.id))

    async def find(self, client: LocalClient, desired: Desired, token: str) -> Observed | None:
        folder = client.folder("registries", str(desired.attributes["name"]))

        def look() -> Observed | None:
            if mlflow_store.marker(folder).get("op") != token:
                return None
            # The crash may have come before MLflow had made its database.
            mlflow_store.create(folder)
            return _read(folder)

        return await asyncio.to_thread(look)

    async def adopt(self, client: LocalClient, id: str) -> Observed | None:
        folder = client.folder("registries", id)

        def take() -> Observed | None:
            if mlflow_store.exists(folder) and not mlflow_store.marker(folder):
                mlflow_store.write_marker(folder, {"ui": False})
            return _read(folder)

        return await asyncio.to_thread(take)

    async def stake(self, client: LocalClient, recorded: ResourceState) -> str:
        folder = client.folder("registries", recorded.id)
        if not mlflow_store.exists(folder):
            return ""
        held = await asyncio.to_thread(mlflow_store.models, folder)
        versions = sum(len(m.versions) for m in held.values())
        plural = "" if len(held) == 1 else "s"
        return f"{len(held):,} model{plural} with {versions:,} version{'' if versions == 1 else 's'}" if held else ""

    def logs(self, client: LocalClient, recorded: ResourceState, *, follow: bool) -> AsyncIterator[str]:
        return follow_log(services.log_file(_ui_folder(client.folder("registries", recorded.id))), follow)


def _ui_folder(folder: Path) -> Path:
    return folder / "ui"


def _read(folder: Path) -> Observed | None:
    written = mlflow_store.marker(folder)
    if not written:
        return None
    attributes: dict[str, Value] = {
        name: written[name] for name in ("description", "ui", "port") if written.get(name) is not None
    }
    ui = bool(written.get("ui"))
    live = services.status(_ui_folder(folder)) if ui else None
    attributes |= {
        "name": folder.name,
        "uri": f"local://registries/{folder.name}",
        "tracking_uri": mlflow_store.database_uri(folder),
        "ui_url": f"http://{services.HOST}:{written['serves']}" if ui and written.get("serves") else "",
        "status": "lost" if not mlflow_store.exists(folder) else ("running" if live else "stopped") if ui else "ready",
    }
    return Observed(folder.name, Map(attributes))


def _create(folder: Path, desired: Desired, token: str) -> Observed:
    if folder.exists() and mlflow_store.marker(folder).get("op") != token:
        raise AlreadyExists(f"the directory {folder} exists and is not ours", import_id=folder.name)
    if desired.attributes.get("ui"):
        _require_full_mlflow()
    folder.mkdir(parents=True, exist_ok=True)
    mlflow_store.write_marker(folder, {"op": token})
    try:
        return _settle(folder, desired, token)
    except Failure:
        _delete(folder)
        raise


def _settle(folder: Path, desired: Desired, op: str) -> Observed:
    """Have the database there, write the settings, and have the web page's process run or not run."""
    attributes = desired.attributes
    if not mlflow_store.exists(folder):
        services.stop(_ui_folder(folder))  # it holds on to the database that is gone
        mlflow_store.create(folder)
    wanted = attributes.get("port")
    served = mlflow_store.marker(folder).get("serves")
    live = services.status(_ui_folder(folder))
    if attributes.get("ui"):
        _require_full_mlflow()
        if live is None or (wanted and live.port != wanted):
            live = _start_ui(folder, wanted, served, desired.timeout or 120.0)
        served = live.port
    else:
        services.stop(_ui_folder(folder))
        served = None
    settings = {name: attributes.get(name) for name in ("description", "ui", "port")}
    mlflow_store.write_marker(folder, {**settings, "op": op, "serves": served})
    found = _read(folder)
    assert found is not None
    return found


def _start_ui(folder: Path, wanted: object, served: object, timeout: float) -> services.Service:
    port = wanted if isinstance(wanted, int) else served if isinstance(served, int) else 0
    return services.start(
        _ui_folder(folder),
        services.ServiceSpec(
            name=f"the web page of registry {folder.name}",
            command=(
                sys.executable, "-m", "mlflow", "server", "--backend-store-uri", mlflow_store.database_uri(folder),
                "--default-artifact-root", (folder / "artifacts").as_uri(),
                "--host", services.HOST, "--port", "{port}", "--workers", "1",
            ),
            environment={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
            port=port,
            any_port=wanted is None,
            health=services.answers_http("/health"),
        ),
        timeout=timeout,
    )  # fmt: skip


def _require_full_mlflow() -> None:
    """The light MLflow that does all the rest has no web page."""
    try:
        importlib.metadata.distribution("mlflow")
    except importlib.metadata.PackageNotFoundError:
        try:
            version = importlib.metadata.version("mlflow-skinny")
        except importlib.metadata.PackageNotFoundError:
            version = "3.17.2"
        hint = f"pip install mlflow=={version}, or set ui: false"
        raise Invalid("the registry's web page needs the full MLflow", path=("ui",), hint=hint) from None


def _delete(folder: Path) -> None:
    if not folder.exists():
        return
    services.stop(_ui_folder(folder))
    mlflow_store.remove(folder)
