"""MLflow's REST API (https://mlflow.org/docs/latest/api_reference/rest-api.html), as far as models, versions and aliases need it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlinfra.provider.failures import AlreadyExists, Denied, Failure, Invalid, NotFound, Transient
from mlinfra.provider.mlflow.registry import TAG, ModelRecord, VersionRecord

ARTIFACTS = "artifacts"
"""The folder of the registry's volume that its server serves as ``mlflow-artifacts:/``."""
MODEL_FOLDER = "model"
"""The folder among a run's artifacts that holds the model, as ``log_model`` calls it by default."""
_EXPERIMENT = "mlinfra"
_PATIENCE = 60.0
_MODELS, _VERSIONS = "registered-models", "model-versions"


@dataclass(frozen=True, slots=True)
class Run:
    """``folder`` is where its artifacts lie below the folder that the server serves."""

    id: str
    artifacts: str

    @property
    def folder(self) -> str:
        return urllib.parse.urlsplit(self.artifacts).path.strip("/")


class MlflowApi:
    """A registry behind ``url``, read and changed. Each method raises a Failure: Transient when nobody answers."""

    def __init__(self, url: str) -> None:
        self._url = url

    def model(self, name: str) -> ModelRecord | None:
        """A registered model with all its versions; None when there is none."""
        try:
            told = self._call("GET", f"{_MODELS}/get", name=name)["registered_model"]
        except NotFound:
            return None
        return ModelRecord(
            name=told["name"],
            description=told.get("description", ""),
            tags=_tags(told),
            aliases={entry["alias"]: int(entry["version"]) for entry in told.get("aliases", ())},
            versions={record.number: record for record in self._versions(name)},
        )

    def _versions(self, name: str) -> Iterator[VersionRecord]:
        quoted = name.replace("'", "\\'")
        page: dict[str, str] = {}
        while True:
            told = self._call("GET", f"{_VERSIONS}/search", None, filter=f"name='{quoted}'", max_results="200", **page)
            for entry in told.get("model_versions", ()):
                yield VersionRecord(
                    number=int(entry["version"]),
                    source=entry.get("source", ""),
                    description=entry.get("description", ""),
                    tags=_tags(entry),
                )
            if not told.get("next_page_token"):
                return
            page = {"page_token": told["next_page_token"]}

    def create_model(self, name: str, tags: Mapping[str, str], description: str) -> None:
        self._call("POST", f"{_MODELS}/create", {"name": name, "tags": _listed(tags), "description": description})

    def update_model(self, name: str, description: str) -> None:
        self._call("PATCH", f"{_MODELS}/update", {"name": name, "description": description})

    def delete_model(self, name: str) -> None:
        self._call("DELETE", f"{_MODELS}/delete", {"name": name})

    def set_model_tag(self, name: str, key: str, value: str) -> None:
        self._call("POST", f"{_MODELS}/set-tag", {"name": name, "key": key, "value": value})

    def delete_model_tag(self, name: str, key: str) -> None:
        self._call("DELETE", f"{_MODELS}/delete-tag", {"name": name, "key": key})

    def create_version(self, model: str, source: str, tags: Mapping[str, str], description: str) -> int:
        """``source`` is a place among a run's artifacts, as :class:`Run` tells it: a server takes no other of its own places."""
        run = source.removesuffix(f"/{MODEL_FOLDER}").split("/")[-2]
        body = {"name": model, "source": source, "run_id": run, "tags": _listed(tags), "description": description}
        return int(self._call("POST", f"{_VERSIONS}/create", body)["model_version"]["version"])

    def update_version(self, model: str, number: int, description: str) -> None:
        self._call("PATCH", f"{_VERSIONS}/update", {"name": model, "version": str(number), "description": description})

    def delete_version(self, model: str, number: int) -> None:
        self._call("DELETE", f"{_VERSIONS}/delete", {"name": model, "version": str(number)})

    def set_version_tag(self, model: str, number: int, key: str, value: str) -> None:
        self._call("POST", f"{_VERSIONS}/set-tag", {"name": model, "version": str(number), "key": key, "value": value})

    def delete_version_tag(self, model: str, number: int, key: str) -> None:
        self._call("DELETE", f"{_VERSIONS}/delete-tag", {"name": model, "version": str(number), "key": key})

    def set_alias(self, model: str, alias: str, number: int) -> None:
        self._call("POST", f"{_MODELS}/alias", {"name": model, "alias": alias, "version": str(number)})

    def delete_alias(self, model: str, alias: str) -> None:
        self._call("DELETE", f"{_MODELS}/alias", {"name": model, "alias": alias})

    def run(self, model: str, digest: str) -> Run:
        """The run that stands for this content of the model, made unless it is there."""
        known = self.runs(model, digest)
        if known:
            return known[0]
        now = int(time.time() * 1000)
        tags = {**_run_tags(model, digest), "mlflow.runName": f"{model} {digest.removeprefix('sha256:')[:12]}"}
        body = {"experiment_id": self._experiment(make=True), "start_time": now, "tags": _listed(tags)}
        made = self._call("POST", "runs/create", body)["run"]
        self._call("POST", "runs/update", {"run_id": made["info"]["run_id"], "status": "FINISHED", "end_time": now})
        return _run(made)

    def runs(self, model: str, digest: str = "") -> list[Run]:
        """The runs that stand for the model's contents, or for one of them."""
        experiment = self._experiment(make=False)
        if experiment is None:
            return []
        wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in _run_tags(model, digest).items())
        body = {"experiment_ids": [experiment], "filter": wanted, "max_results": 1000}
        return [_run(entry) for entry in self._call("POST", "runs/search", body).get("runs", ())]

    def delete_run(self, id: str) -> None:
        self._call("POST", "runs/delete", {"run_id": id})

    def _experiment(self, *, make: bool) -> str | None:
        try:
            return str(
                self._call("GET", "experiments/get-by-name", None, experiment_name=_EXPERIMENT)["experiment"]["experiment_id"]
            )
        except NotFound:
            return str(self._call("POST", "experiments/create", {"name": _EXPERIMENT})["experiment_id"]) if make else None

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None, **query: str) -> dict[str, Any]:
        url = f"{self._url}/api/2.0/mlflow/{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
                found = json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            raise _failure(error) from error
        except (OSError, ValueError) as error:
            raise Transient(f"the registry at {self._url} does not answer: {getattr(error, 'reason', error)}") from error
        return found if isinstance(found, dict) else {}


def _failure(error: urllib.error.HTTPError) -> Failure:
    text = error.read().decode(errors="replace")
    try:
        told = json.loads(text)
        code, message = str(told.get("error_code", "")), str(told.get("message", text))
    except (ValueError, AttributeError):
        code, message = "", text.strip()[:500]
    if code == "RESOURCE_DOES_NOT_EXIST" or error.code == 404:
        return NotFound(message)
    if code == "RESOURCE_ALREADY_EXISTS":
        return AlreadyExists(message)
    if error.code in (401, 403):
        return Denied(f"MLflow: {message}")
    if error.code >= 500 or code == "TEMPORARILY_UNAVAILABLE":
        return Transient(f"MLflow: {message}")
    return Invalid(f"MLflow: {message}")


def _run(entry: Mapping[str, Any]) -> Run:
    return Run(entry["info"]["run_id"], entry["info"]["artifact_uri"])


def _run_tags(model: str, digest: str) -> dict[str, str]:
    return {f"{TAG}model": model, **({f"{TAG}digest": digest} if digest else {})}


def _tags(entry: Mapping[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag.get("value", "") for tag in entry.get("tags", ())}


def _listed(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]
