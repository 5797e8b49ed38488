"""A spec on the docker target with names that nobody else has, and the check that nothing of it is left on the engine."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from live.docker import images

KINDS = ("containers", "volumes", "networks", "images")


class Stack:
    """``folder`` holds the spec; ``run`` is the command in it. ``left()`` tells what carries the project's labels."""

    def __init__(self, api: Any, folder: Path, run: Callable[..., Any]) -> None:
        self.api = api
        self.folder = folder
        self.project = f"t{uuid.uuid4().hex[:8]}"
        self.image = images.ensure(api, images.BASE)
        self._run = run
        self.parts: dict[str, str] = {"helper": self.image}
        self.settings: dict[str, Any] = {"pull": False}

    def write(self, resources: str, files: Mapping[str, str | bytes] | None = None) -> None:
        """``resources`` is YAML, indented by two; ``IMAGE`` in it stands for the base image."""
        settings = {**self.settings, "images": self.parts}
        head = f"version: 1\nproject: {self.project}\nproviders: {{docker: {json.dumps(settings)}}}\n"
        head += "environments: {dev: {target: docker}}\nresources:\n"
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "mlinfra.yaml").write_text(head + resources.replace("IMAGE", self.image))
        for name, content in (files or {}).items():
            file = self.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)

    def run(self, *arguments: str, code: int | None = 0, timeout: float = 300) -> Any:
        done = self._run([*arguments], self.folder, timeout=timeout)
        assert code is None or done.code == code, done.text
        return done

    def containers(self, *, all: bool = True) -> list[dict[str, Any]]:
        return list(self.api.containers(all=all, filters=self._labelled()))

    def container(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.inspect_container(f"{self.project}-dev-{name}")
        return found

    def left(self) -> dict[str, list[str]]:
        wanted = self._labelled()
        found = {
            "containers": [c["Names"][0] for c in self.api.containers(all=True, filters=wanted)],
            "volumes": [v["Name"] for v in self.api.volumes(filters=wanted)["Volumes"] or ()],
            "networks": [n["Name"] for n in self.api.networks(filters=wanted)],
            "images": [str(i["RepoTags"]) for i in self.api.images(filters=wanted)],
        }
        return {kind: names for kind, names in found.items() if names}

    def _labelled(self) -> dict[str, list[str]]:
        return {"label": [f"mlinfra:project={self.project}"]}

    def sweep(self) -> None:
        """Remove what a failed test left."""
        wanted = self._labelled()
        for container in self.api.containers(all=True, filters=wanted):
            self.api.remove_container(container["Id"], force=True, v=True)
        for volume in self.api.volumes(filters=wanted)["Volumes"] or ():
            self.api.remove_volume(volume["Name"], force=True)
        for network in self.api.networks(filters=wanted):
            self.api.remove_network(network["Id"])
        for image in self.api.images(filters=wanted):
            self.api.remove_image(image["Id"], force=True)


@pytest.fixture
def stack(docker_api: Any, tmp_path: Path, run_mlinfra: Callable[..., Any]) -> Iterator[Stack]:
    """A stack that is destroyed in the end, and fails the test when that leaves anything."""
    made = Stack(docker_api, tmp_path / "stack", run_mlinfra)
    try:
        yield made
        if (made.folder / ".mlinfra").exists():
            made.run("destroy", "--yes")
        assert made.left() == {}, "something was left on the engine"
    finally:
        made.sweep()
