"""A model registry in one folder: MLflow's own SQLite store, the models beside it, no server.

    mlflow.db              MLflow's database; ``mlflow.set_registry_uri("sqlite:///…/mlflow.db")`` opens it
    models/NAME/DIGEST12   the artifact of every version that mlinfra registered, and of some that are gone; with a manifest beside
    artifacts/             what users' own runs log
    registry.json          which operation made it

Writes go through MLflow. Reads take its tables directly, because a plan that changes nothing should not wait seconds for
MLflow's import; when the tables are not as expected, reads go through MLflow as well.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlinfra.provider import files
from mlinfra.provider.failures import AlreadyExists, Failure, Invalid, NotFound, Transient
from mlinfra.provider.mlflow.registry import TAG, ModelRecord, VersionRecord
from mlinfra_local.client import discard
from mlinfra_local.execution import store
from mlinfra_local.execution.scratch import scratch

_DATABASE = "mlflow.db"
_MARKER = "registry.json"
_DELETED = "Deleted_Internal"
_RETIRED_KEPT = 10
_lock = threading.Lock()
_locks: dict[Path, threading.RLock] = {}


def database_uri(folder: Path) -> str:
    """What MLflow's clients take as tracking and registry URI. Absolute."""
    return f"sqlite:///{folder / _DATABASE}"


def exists(folder: Path) -> bool:
    return (folder / _DATABASE).is_file()


def marker(folder: Path) -> dict[str, Any]:
    """What is written of the registry itself; empty when it is not ours."""
    try:
        return dict(json.loads((folder / _MARKER).read_text()))
    except (OSError, ValueError):
        return {}


def write_marker(folder: Path, content: Mapping[str, Any]) -> None:
    temporary = folder / (_MARKER + ".new")
    temporary.write_text(json.dumps(dict(content)))
    temporary.replace(folder / _MARKER)


def create(folder: Path) -> None:
    """Make the database, with the default experiment's artifacts beside it. Nothing happens when it is there.

    MLflow migrates for seconds, and cannot go on with a database whose migration was cut off: it comes to its place whole."""
    with locked(folder), _failures(folder.name):
        if exists(folder):
            return
        store_type = _store_type()
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore

        folder.mkdir(parents=True, exist_ok=True)
        with scratch(folder) as unborn:
            unborn.folder.mkdir(parents=True, exist_ok=True)
            store_type(database_uri(unborn.folder))._dispose_engine()
            TrackingStore(database_uri(unborn.folder), (folder / "artifacts").as_uri())._dispose_engine()
            (unborn.folder / _DATABASE).replace(folder / _DATABASE)


def remove(folder: Path) -> None:
    """Delete all of it."""
    with locked(folder):
        discard(folder)
        if folder.exists():
            raise Transient(f"{folder.name} cannot be removed completely; something still writes into {folder}")


def models(folder: Path) -> dict[str, ModelRecord]:
    """Every registered model by name. NotFound when there is no registry."""
    if not exists(folder):
        raise NotFound(f"the registry {folder.name} does not exist")
    try:
        return _read_tables(folder)
    except sqlite3.Error:
        return _read_through_mlflow(folder)


def model(folder: Path, name: str) -> ModelRecord | None:
    """One registered model; None when it, or the registry, is not there."""
    return models(folder).get(name) if exists(folder) else None


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other threads of this process off the registry: a copied artifact must not be pruned before it is registered."""
    with _lock:
        mine = _locks.setdefault(folder, threading.RLock())
    with mine:
        yield


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Any]:
    """MLflow's registry store, for writing; its errors become failures. The database is made when it is not there."""
    create(folder)
    with locked(folder), _failures(folder.name):
        registry = _store_type()(database_uri(folder))
        try:
            yield registry
        finally:
            # MLflow keeps engines for good; a pooled connection would outlive the file when the registry is deleted.
            registry._dispose_engine()


def artifact_folder(folder: Path, model: str, digest: str) -> Path:
    """Where the artifact with this digest (``sha256:…``) is kept."""
    return folder / "models" / model / store.short(digest)


def keep_artifact(folder: Path, model: str, source: Path, expected: str | None) -> str:
    """Copy an MLflow model folder into the registry, once per content; returns its digest.

    Invalid when it is no MLflow model, or when its bytes are not the ``expected`` ones (they changed since the plan)."""
    parent = folder / "models" / model
    if expected and artifact_status(folder, model, expected) == "ready":
        return expected
    if not (source / "MLmodel").is_file():
        problem = "is not an MLflow model folder: it has no MLmodel file" if source.exists() else "does not exist"
        raise Invalid(f"{source} {problem}", hint="save it with mlflow.<flavour>.save_model(model, path)")
    try:
        with scratch(parent) as temporary:
            selected = files.select(source, ".")
            return store.copy(parent, selected, expected, temporary.folder / "artifact", what=str(source)).digest
    except OSError as error:
        raise Invalid(f"{source} cannot be copied: {error}") from error


def artifact_status(folder: Path, model: str, digest: str) -> str:
    """Of the registry's copy: ``ready``, ``artifact missing``, or ``artifact changed`` when its bytes are not those of the digest."""
    stored = store.check(folder / "models" / model, digest) if digest else None
    return "artifact missing" if stored is None else "ready" if stored.digest == digest else "artifact changed"


def prune_artifacts(folder: Path, model: str) -> None:
    """Remove the artifacts that no version refers to, but for the last few: a rollback brings them back. All of them when the
    model itself is gone."""
    with locked(folder):
        parent = folder / "models" / model
        if not parent.is_dir():
            return
        known = models(folder).get(model) if exists(folder) else None
        if known is None:
            shutil.rmtree(parent, ignore_errors=True)
            return
        used = {store.short(v.tags.get(f"{TAG}digest", "")) for v in known.versions.values()}
        unused = [name for name in store.kept(parent) if name not in used]
        for name in unused[:-_RETIRED_KEPT]:
            store.drop(parent, name)


def retire_artifact(folder: Path, model: str, digest: str) -> None:
    """Of what no version refers to, this came last."""
    store.renew(folder / "models" / model, digest)


def _store_type() -> Any:
    # Deploying must not phone home; MLflow reads this when it is imported.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
    except ImportError as error:
        raise Invalid(f"MLflow cannot be loaded: {error}", hint="pip install 'mlinfra-iac[local]'") from error
    for name in ("mlflow.store.db.utils", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return SqlAlchemyStore


@contextlib.contextmanager
def _failures(registry: str) -> Iterator[None]:
    try:
        yield
    except Failure:
        raise
    except OSError as error:
        raise Invalid(f"the registry {registry} cannot be used: {error}") from error
    except Exception as error:
        raise _failure(registry, error) from error


def _failure(registry: str, error: Exception) -> Failure:
    message = str(getattr(error, "message", error))
    code = getattr(error, "error_code", "")
    if "database is locked" in message or code == "TEMPORARILY_UNAVAILABLE":
        return Transient(f"the registry {registry} is busy: {message}")
    if code == "RESOURCE_ALREADY_EXISTS":
        return AlreadyExists(message)
    if code == "RESOURCE_DOES_NOT_EXIST":
        return NotFound(message)
    if "out-of-date database schema" in message:
        return Invalid(
            f"the registry {registry} was made by another MLflow",
            hint="back it up, then: mlflow db upgrade sqlite:///…/mlflow.db",
        )
    return Invalid(f"MLflow: {message}")


def _read_tables(folder: Path) -> dict[str, ModelRecord]:
    connection = sqlite3.connect(f"{(folder / _DATABASE).as_uri()}?mode=ro", uri=True, timeout=10)
    with contextlib.closing(connection):
        model_tags: dict[str, dict[str, str]] = {}
        for name, key, value in connection.execute("SELECT name, key, value FROM registered_model_tags"):
            model_tags.setdefault(name, {})[key] = value or ""
        aliases: dict[str, dict[str, int]] = {}
        for name, alias, number in connection.execute("SELECT name, alias, version FROM registered_model_aliases"):
            aliases.setdefault(name, {})[alias] = int(number)
        version_tags: dict[tuple[str, int], dict[str, str]] = {}
        for name, number, key, value in connection.execute("SELECT name, version, key, value FROM model_version_tags"):
            version_tags.setdefault((name, int(number)), {})[key] = value or ""
        versions: dict[str, dict[int, VersionRecord]] = {}
        for name, number, source, description in connection.execute(
            "SELECT name, version, source, description FROM model_versions WHERE current_stage IS NULL OR current_stage != ?",
            (_DELETED,),
        ):
            tags = version_tags.get((name, int(number)), {})
            record = VersionRecord(number=int(number), source=source or "", description=description or "", tags=tags)
            versions.setdefault(name, {})[int(number)] = record
        return {
            name: ModelRecord(
                name=name,
                description=description or "",
                tags=model_tags.get(name, {}),
                aliases=aliases.get(name, {}),
                versions=versions.get(name, {}),
            )
            for name, description in connection.execute("SELECT name, description FROM registered_models")
        }


def _read_through_mlflow(folder: Path) -> dict[str, ModelRecord]:
    with opened(folder) as registry:
        found: dict[str, ModelRecord] = {}
        for entity in _pages(registry.search_registered_models):
            versions = {
                int(v.version): VersionRecord(
                    number=int(v.version), source=v.source or "", description=v.description or "", tags=dict(v.tags)
                )
                for v in _pages(lambda **page: registry.search_model_versions(f"name = '{entity.name}'", **page))  # noqa: B023
            }
            found[entity.name] = ModelRecord(
                name=entity.name,
                description=entity.description or "",
                tags=dict(entity.tags),
                aliases={alias: int(number) for alias, number in entity.aliases.items()},
                versions=versions,
            )
        return found


def _pages(search: Any) -> Iterator[Any]:
    token = None
    while True:
        page = search(max_results=200, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
