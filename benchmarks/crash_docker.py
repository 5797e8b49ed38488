"""Target `docker` of `crash.py`: a whole portable stack on the engine of this machine, its images made as the tests make theirs."""

from __future__ import annotations

import contextlib
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

_OURS = {"label": ["mlinfra:project=crash"]}
_STACK = """\
  corpus: {kind: dataset, bucket: "${b0}", source: mlinfra.yaml}
  features:
    kind: data_pipeline
    image: HELPER
    steps:
      clean: {run: 'sh -c "cat $MLINFRA_INPUT_ROWS > $MLINFRA_OUTPUT_CLEAN/rows"', inputs: {rows: "${corpus.uri}"}, outputs: [clean]}
  fit:
    kind: training_job
    image: HELPER
    run: 'sh -c "cp $MLINFRA_INPUT_ROWS/rows $MLINFRA_OUTPUT_MODEL/"'
    inputs: {rows: "${features.outputs.clean}"}
  api:
    kind: endpoint
    env: {MODEL: "${fit.artifact}"}
    variants: {champion: {image: SERVER, traffic: 9}, challenger: {image: SERVER, traffic: 1}}
  vectors: {kind: vector_database}
  tickets:
    kind: collection
    database: ${vectors}
    fields: {id: {type: int64, primary: true}, embedding: {type: float_vector, dim: 8}}
    alias: live
"""
_STANDING = ("features-runs", "fit-runs", "api", "vectors")
"""What of it stands on the engine under a name of its own; the rest lies in these."""


class Docker:
    """So many buckets, and beside them a pipeline, a training run, an endpoint of two variants behind its proxy, and a Milvus with a
    collection. Standing are containers, volumes, networks and images that carry the project's label, an address each."""

    name = "docker"

    def __init__(self) -> None:
        self._api: Any = None

    @contextlib.contextmanager
    def world(self) -> Iterator[dict[str, str]]:
        import docker
        from live.docker import images, parts

        self._api = docker.APIClient(version="auto", timeout=600)
        chosen = {"helper": images.BASE, "python": images.BASE, "haproxy": parts.HAPROXY, "milvus": images.MILVUS}
        made = {part: images.ensure(self._api, recipe) for part, recipe in chosen.items()}
        try:
            yield {"CRASH_IMAGES": json.dumps(made), "CRASH_SERVER": images.ensure(self._api, parts.SERVER_IMAGE)}
        finally:
            self.clean(Path(), {})
            self._api.close()

    def clean(self, folder: Path, env: Mapping[str, str]) -> None:
        for container in self._api.containers(all=True, filters=_OURS):
            self._api.remove_container(container["Id"], force=True, v=True)
        for volume in self._api.volumes(filters=_OURS)["Volumes"] or ():
            self._api.remove_volume(volume["Name"], force=True)
        for network in self._api.networks(filters=_OURS):
            self._api.remove_network(network["Id"])

    def spec(self, objects: int, env: Mapping[str, str]) -> str:
        made = json.loads(env["CRASH_IMAGES"])
        settings = {"images": made, "pull": False}
        lines = [f"providers: {{docker: {json.dumps(settings)}}}", "environments: {dev: {target: docker}}", "resources:"]
        lines += [f"  b{n}: {{kind: bucket}}" for n in range(objects)]
        stack = _STACK.replace("HELPER", made["helper"]).replace("SERVER", env["CRASH_SERVER"])
        return "\n".join(lines) + "\n" + stack

    def things(self, objects: int) -> int:
        return objects + len(_STANDING)

    def standing(self, folder: Path, env: Mapping[str, str]) -> list[str]:
        found: Counter[tuple[str, str]] = Counter()
        for container in self._api.containers(all=True, filters=_OURS):
            part = container["Labels"].get("mlinfra:variant") or container["Labels"].get("mlinfra:role") or "container"
            found[_address(container["Labels"]), part] += 1
        for volume in self._api.volumes(filters=_OURS)["Volumes"] or ():
            found[_address(volume["Labels"]), "volume"] += 1
        for image in self._api.images(filters=_OURS):
            found[_address(image["Labels"]), "image"] += 1
        twice = [f"{address} again" for (address, _), count in found.items() for _ in range(count - 1)]
        return sorted({address for address, _ in found}) + twice

    def recorded(self, kind: str, id: str) -> str | None:
        return id.removeprefix("crash-dev-") if kind in ("docker.volume", "docker.endpoint", "docker.milvus") else None


def _address(labels: Mapping[str, str]) -> str:
    return labels.get("mlinfra:address", "a helper").replace(".", "-")
