"""``local.endpoint``: one supervised serving process with all variants of an endpoint."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Secret, Value, freeze
from mlinfra.provider.failures import AlreadyExists, Failure, Invalid, Quota, Transient
from mlinfra.provider.progress import say
from mlinfra_local import mlflow_store, services
from mlinfra_local.client import LocalClient, discard
from mlinfra_local.execution import store
from mlinfra_local.follow import follow_log
from mlinfra_local.hardware import host
from mlinfra_local.ports import keep_or_choose
from mlinfra_local.serving import admin
from mlinfra_local.serving.config import REASON, ServingConfig, VariantConfig, read_config, write_config, write_token

_MARKER = "endpoint.json"
_COPIES = "copies"
_THREADS_PER_REPLICA = 4
_MOST_THREADS = 64
_DRAIN = 30.0


def _predict(attributes: Map) -> Mapping[str, Value]:
    port = attributes.get("port")
    return {"status": "running", **({"url": _url(port)} if isinstance(port, int) else {})}


def _url(port: int) -> str:
    return f"http://{services.HOST}:{port}"


class Endpoint:
    """``endpoints/NAME`` below the data folder: the process's record, log, configuration and key.

    ``variants`` maps a name to ``{model: {uri, digest}, traffic, shadow}``; what is read back is what the process serves.
    ``status`` is ``running``, ``stopped`` (no process), ``unresponsive``, or ``lost`` (its files are gone or cannot be read). All of
    a replica's capacity is threads of the one process: ``replicas.max × replicas.concurrency``. ``resources`` are checked against
    this machine."""

    schema = Schema(
        attributes={
            "name": Attribute(type="string", required=True, immutable=True, source="the name of the endpoint's folder"),
            "variants": Attribute(type="map", required=True),
            "sticky": Attribute(type="string"),
            "health": Attribute(type="map"),
            "replicas": Attribute(type="map"),
            "resources": Attribute(type="map"),
            "port": Attribute(type="integer"),
            "env": Attribute(type="map", write_only=True),
            "url": Attribute(type="string", computed=True),
            "status": Attribute(type="string", computed=True),
        },
        predict=_predict,
        serves=True,
    )

    async def read(self, client: LocalClient, recorded: ResourceState) -> Observed | None:
        folder = client.folder("endpoints", recorded.id)
        found = await asyncio.to_thread(_read, folder)
        if found is None and folder.exists():
            # It is ours, whatever happened to its files: to make another one here would be refused.
            return Observed(recorded.id, Map({**recorded.attributes, "status": "lost"}))
        return found

    async def create(self, client: LocalClient, desired: Desired, token: str) -> Observed:
        return await asyncio.to_thread(_create, client, desired, token)

    async def update(self, client: LocalClient, recorded: ResourceState, desired: Desired) -> Observed:
        return await asyncio.to_thread(_update, client, client.folder("endpoints", recorded.id), desired)

    async def delete(self, client: LocalClient, recorded: ResourceState) -> None:
        await asyncio.to_thread(_delete, client.folder("endpoints", recorded.id))

    async def find(self, client: LocalClient, desired: Desired, token: str) -> Observed | None:
        return await asyncio.to_thread(_find, client.folder("endpoints", str(desired.attributes["name"])), desired, token)

    async def adopt(self, client: LocalClient, id: str) -> Observed | None:
        return await asyncio.to_thread(_read, client.folder("endpoints", id))

    def logs(self, client: LocalClient, recorded: ResourceState, *, follow: bool) -> AsyncIterator[str]:
        return follow_log(services.log_file(client.folder("endpoints", recorded.id)), follow)


def _marker(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / _MARKER).read_text()))
    except (OSError, ValueError):
        return {}


def _write_marker(folder: Path, content: Mapping[str, Any]) -> None:
    temporary = folder / (_MARKER + ".new")
    temporary.write_text(json.dumps(dict(content)))
    temporary.replace(folder / _MARKER)


def _read(folder: Path) -> Observed | None:
    written = _marker(folder)
    config = read_config(folder)
    if not written or config is None:
        return None
    live = services.status(folder)
    status = "stopped"
    if live is not None:
        serving = admin.live_config(folder, live.port)
        status = "unresponsive" if serving is None else "running"
        config = serving or config
    settings = written.get("settings", {})
    served = int(written.get("served", 0))
    if served and live is None and not settings.get("port") and (port := keep_or_choose(served)) != served:
        # A stranger listens there by now. Where it will be is settled here, so that the plan can tell who has to follow.
        served = port
        _write_marker(folder, {**written, "served": port})
    attributes: dict[str, Value] = {
        **{name: settings[name] for name in ("replicas", "resources", "port") if name in settings},
        "name": folder.name,
        "variants": {name: _variant(v) for name, v in config.variants.items()},
        "sticky": config.sticky,
        "health": {**settings.get("health", {}), "path": config.health_path},
        "url": _url(live.port if live else served),
        "status": status,
    }
    return Observed(folder.name, freeze(attributes))


def _variant(config: VariantConfig) -> dict[str, Value]:
    model = {"uri": config.uri, "digest": config.digest} if config.digest else {"uri": config.uri}
    return {"model": model, "traffic": config.traffic, "shadow": config.shadow}


def _create(client: LocalClient, desired: Desired, token: str) -> Observed:
    folder = client.folder("endpoints", str(desired.attributes["name"]))
    if folder.exists() and _marker(folder).get("op") != token:
        raise AlreadyExists(f"the directory {folder} exists and is not ours", import_id=folder.name)
    _check_resources(desired.attributes.get("resources", Map()))
    folder.mkdir(parents=True, exist_ok=True)
    _write_marker(folder, {"op": token})
    try:
        _start(folder, _config(client, folder, desired.attributes), desired)
        return _settled(folder, desired, token)
    except Failure:
        _delete(folder)
        raise


def _update(client: LocalClient, folder: Path, desired: Desired) -> Observed:
    attributes = desired.attributes
    _check_resources(attributes.get("resources", Map()))
    config = _config(client, folder, attributes)
    live = services.status(folder)
    port = attributes.get("port")
    if live is None or port not in (None, live.port) or admin.live_config(folder, live.port) is None:
        _start(folder, config, desired)
    else:
        say("loading what is new beside what is served")
        admin.reload(folder, live.port, config, _environment(attributes), timeout=_patience(attributes))
    return _settled(folder, desired, str(_marker(folder).get("op", "")))


def _settled(folder: Path, desired: Desired, op: str) -> Observed:
    """Write down what is settled, and tidy up; the answer is what the process says that it serves."""
    live = services.status(folder)
    if live is None:
        raise Transient(f"the serving process of {folder.name} ended right after its start{_last_lines(folder)}")
    settings = {
        name: desired.attributes[name] for name in ("health", "replicas", "resources", "port") if name in desired.attributes
    }
    _write_marker(folder, {"op": op, "served": live.port, "settings": settings})
    config = read_config(folder)
    used = {Path(v.path) for v in config.variants.values()} if config else set()
    copies = folder / "models" / _COPIES
    for name in store.kept(copies):
        if copies / name not in used:
            store.drop(copies, name)
    found = _read(folder)
    assert found is not None
    return found


def _start(folder: Path, config: ServingConfig, desired: Desired) -> None:
    """Start the process on the port wanted, else on the one that it had; what was configured before stays when it fails."""
    before = read_config(folder)
    wanted = desired.attributes.get("port")
    served = int(_marker(folder).get("served", 0))
    # Stopped first, so that a last change of the old process cannot overwrite the new configuration.
    services.stop(folder, timeout=_DRAIN)
    write_token(folder, secrets.token_hex(16))
    write_config(folder, config)
    (folder / REASON).unlink(missing_ok=True)
    say("loading the models")
    try:
        services.start(
            folder,
            services.ServiceSpec(
                name=f"the serving process of {folder.name}",
                command=(sys.executable, "-m", "mlinfra_local.serving", "--service", str(folder), "--port", "{port}"),
                environment=_environment(desired.attributes),
                port=wanted or served,
                any_port=not wanted,
                health=services.answers_http(config.health_path),
            ),
            timeout=_patience(desired.attributes),
        )
    except BaseException as error:
        if before is not None:
            write_config(folder, before)
        if isinstance(error, Failure) and (folder / REASON).exists():
            reason = (folder / REASON).read_text()
            raise Invalid(f"the serving process of {folder.name} cannot start: {reason}", path=("variants",)) from error
        raise


def _config(client: LocalClient, folder: Path, attributes: Map) -> ServingConfig:
    variants = {}
    for name, variant in attributes["variants"].items():
        uri, digest = str(variant["model"]["uri"]), str(variant["model"].get("digest", ""))
        path = _model_folder(client, folder, uri, digest, name)
        variants[name] = VariantConfig(
            uri=uri, digest=digest, path=str(path), traffic=int(variant["traffic"]), shadow=bool(variant["shadow"])
        )
    if not any(v.traffic > 0 for v in variants.values() if not v.shadow):
        raise Invalid("no variant gets any traffic", path=("variants",), hint="give one a traffic above 0")
    replicas = attributes.get("replicas", Map())
    threads = int(replicas.get("max", 1)) * int(replicas.get("concurrency", _THREADS_PER_REPLICA))
    return ServingConfig(
        variants=variants,
        sticky=attributes.get("sticky", ""),
        health_path=attributes.get("health", Map()).get("path", "/ping"),
        threads=max(1, min(threads, _MOST_THREADS)),
        environment_names=tuple(sorted(_environment(attributes))),
    )


def _model_folder(client: LocalClient, folder: Path, uri: str, digest: str, variant: str) -> Path:
    """Where the process loads the model from: the registry's or run's own copy, which never changes, or else one of ours."""
    source = client.path_of(uri)
    if not uri.startswith("local://"):
        mlflow_store.keep_artifact(folder, _COPIES, source, digest)
        return mlflow_store.artifact_folder(folder, _COPIES, digest)
    if not (source / "MLmodel").is_file():
        problem = "is not an MLflow model folder: it has no MLmodel file" if source.exists() else "does not exist"
        raise Invalid(f"{uri} {problem}", path=("variants", variant, "model"))
    return source


def _environment(attributes: Map) -> dict[str, str]:
    env = attributes.get("env") or Map()
    env = env.reveal() if isinstance(env, Secret) else env
    return {name: str(value.reveal() if isinstance(value, Secret) else value) for name, value in env.items()}


def _patience(attributes: Map) -> float:
    return float(attributes.get("health", Map()).get("timeout", 60.0))


def _check_resources(wanted: Map) -> None:
    if not wanted:
        return
    have = host()
    cpus, memory, accelerators = wanted.get("cpus"), wanted.get("memory"), wanted.get("accelerators")
    if cpus and cpus > have.cpus:
        raise Quota(f"the endpoint asks for {cpus:g} CPUs; this machine has {have.cpus:g}", path=("resources", "cpus"))
    if memory and memory > have.memory:
        asked, there = memory / 1e9, have.memory / 1e9
        raise Quota(
            f"the endpoint asks for {asked:.1f} GB of memory; this machine has {there:.1f} GB", path=("resources", "memory")
        )
    if accelerators:
        name, _, count = str(accelerators).partition(":")
        there_are = sum(gpu.is_a(name) for gpu in have.gpus)
        if there_are < int(count or 1):
            message = f"the endpoint asks for {accelerators}; this machine has {there_are or 'no'} {name}"
            raise Quota(message, path=("resources", "accelerators"))


def _find(folder: Path, desired: Desired, token: str) -> Observed | None:
    if _marker(folder).get("op") != token:
        return None
    if read_config(folder) is None:
        _delete(folder)
        return None
    # The crash may have come while the models were being loaded: the process goes on by itself.
    deadline = time.monotonic() + _patience(desired.attributes)
    while (live := services.status(folder)) and admin.live_config(folder, live.port) is None and time.monotonic() < deadline:
        time.sleep(0.1)
    return _read(folder)


def _delete(folder: Path) -> None:
    if not folder.exists():
        return
    services.stop(folder, timeout=_DRAIN)
    with _removal(folder):
        discard(folder)


@contextlib.contextmanager
def _removal(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Transient(f"{folder} cannot be removed: {error}") from error


def _last_lines(folder: Path) -> str:
    lines = services.tail(folder, 10)
    return ":\n" + "\n".join(f"    {line}" for line in lines) if lines else ""
