"""A registry of :mod:`mlinfra.provider.mlflow`: an MLflow server in a container, with the models' files in its volume."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property

from mlinfra.provider import files
from mlinfra.provider.failures import Failure, Invalid, NotFound, Transient
from mlinfra.provider.mlflow.registry import TAG, ModelRecord
from mlinfra_docker import containers, volumes
from mlinfra_docker import volume_store as store
from mlinfra_docker.client import DockerClient
from mlinfra_docker.mlflow_api import ARTIFACTS, MODEL_FOLDER, MlflowApi, Run
from mlinfra_docker.volumes import MOUNTED

_RETIRED_KEPT = 10
_WAKING = 180.0


def volume_of(registry: str) -> str:
    """The volume of a server, by the name of its container."""
    return f"{registry}-data"


def model_uri(registry: str, model: str, digest: str) -> str:
    """Where the registry's copy lies: a place in its volume, that a serving container can mount."""
    return volumes.uri(volume_of(registry), f"{ARTIFACTS}/models/{model}/{store.short(digest)}")


class DockerRegistry:
    """``name`` is that of its container."""

    def __init__(self, client: DockerClient, name: str) -> None:
        self.name = name
        self.volume = volume_of(name)
        self._client = client
        self._root = f"{MOUNTED}/{self.volume}"

    @cached_property
    def _container(self) -> containers.Inspect | None:
        found: containers.Inspect | None = self._client.optional(f"/containers/{self.name}/json")
        return found

    @cached_property
    def _api(self) -> MlflowApi:
        ports = containers.published(self._running())
        if not ports:
            raise Invalid(f"{self.name} publishes no port: it is no registry that can be reached")
        return MlflowApi(f"http://{self._client.reach}:{next(iter(ports.values()))}")

    def _running(self) -> containers.Inspect:
        if self._container is None:
            raise NotFound(f"the registry {self.name} does not exist")
        if self._container["State"]["Status"] != "running":
            raise Transient(f"the registry {self.name} does not run", hint="mlinfra apply starts it again")
        return self._container

    def state(self) -> str:
        if self._container is not None and self._container["State"]["Status"] == "running":
            return "ready"
        return "gone" if self._client.optional(f"/volumes/{self.volume}") is None else "down"

    def revive(self) -> bool:
        if self._container is None:
            return False
        if self._container["State"]["Status"] != "running":
            self._client.post(f"/containers/{self.name}/start")
            asyncio.run(containers.wait_ready(self._client, self.name, within=_WAKING))
            self.__dict__.pop("_container")
        return True

    def model(self, name: str) -> ModelRecord | None:
        return self._api.model(name)

    @contextmanager
    def writing(self) -> Iterator[MlflowApi]:
        with self._client.lock(f"registry {self.name}"):
            yield self._api

    def keep(self, model: str, place: str, expected: str | None) -> str:
        if expected and self.status(model, expected) == "ready":
            return expected
        if place.startswith(f"{volumes.SCHEME}://"):
            source, path = volumes.place(place)
            helper = volumes.helper(self._client, source, self.volume)
            folder = f"{MOUNTED}/{source}/{path}"
            if helper.run('[ -f "$1/MLmodel" ] && echo yes || { [ -e "$1" ] && echo no || echo gone; }', folder).strip() != "yes":
                raise _no_model(place)
            return store.keep_copy(helper, folder, self.volume, self._parent(model), expected, what=place).digest
        try:
            selected = files.select(self._client.base, place)
        except OSError as error:
            raise Invalid(f"{place} cannot be read: {error.strerror}", path=("path",)) from error
        if not any(f.name == "MLmodel" for f in selected):
            raise _no_model(place)
        return store.keep_files(
            self._helper(), self.volume, self._parent(model), selected, expected, what=f"the model {place}"
        ).digest

    def location(self, model: str, digest: str) -> str:
        """Among the artifacts of a run that stands for this content, by hard links: a server takes a version from nowhere else."""
        run = self._api.run(model, digest)
        stored = f"{self._root}/{self._parent(model)}/{store.short(digest)}"
        script = '[ -d "$2/$3" ] || { mkdir -p "$2"; rm -rf "$2/.new"; cp -al "$1" "$2/.new"; mv "$2/.new" "$2/$3"; }'
        self._helper().run(script, stored, f"{self._root}/{ARTIFACTS}/{run.folder}", MODEL_FOLDER)
        return f"{run.artifacts}/{MODEL_FOLDER}"

    def status(self, model: str, digest: str) -> str:
        stored = store.check(self._helper(), self.volume, self._parent(model), digest) if digest else None
        return "artifact missing" if stored is None else "ready" if stored.digest == digest else "artifact changed"

    def retire(self, model: str, digest: str) -> None:
        store.renew(self._helper(), self.volume, self._parent(model), digest)

    def prune(self, model: str) -> None:
        with self._client.lock(f"registry {self.name}"):
            known = self.model(model)
            if known is None:
                self._forget(self._api.runs(model))
                self._helper().run('rm -rf "$1"', f"{self._root}/{self._parent(model)}")
                return
            used = {store.short(v.tags.get(f"{TAG}digest", "")) for v in known.versions.values()}
            unused = [n for n in store.kept(self._helper(), self.volume, self._parent(model)) if n not in used]
            for name in unused[:-_RETIRED_KEPT]:
                stored = store.check(self._helper(), self.volume, self._parent(model), name)
                self._forget(self._api.runs(model, stored.digest) if stored is not None else [])
                store.drop(self._helper(), self.volume, self._parent(model), name)

    def _forget(self, runs: Iterable[Run]) -> None:
        for run in runs:
            self._helper().run('rm -rf "$1"', f"{self._root}/{ARTIFACTS}/{run.folder.rpartition('/')[0]}")
            self._api.delete_run(run.id)

    def _helper(self) -> volumes.Helper:
        return volumes.helper(self._client, self.volume)

    def _parent(self, model: str) -> str:
        return f"{ARTIFACTS}/models/{model}"


def _no_model(place: str) -> Failure:
    return Invalid(
        f"{place} is not an MLflow model folder: it has no MLmodel file",
        hint="save it with mlflow.<flavour>.save_model(model, path)",
    )
