"""What Azure Machine Learning does with a job: it brings the inputs, runs the command, takes the outputs.

The command that a job or a component names runs here as a process, by ``bash`` as there, with the folders that are mounted in the place of
``${{inputs.…}}`` and ``${{outputs.…}}``. A body that would not run there does not run here: every binding must name something.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

Read = Callable[[str], Mapping[str, Any] | None]
"""ARM's object at an id, as the fake holds it."""
Container = Callable[[str, str], Any]
"""``azure.storage.blob.ContainerClient`` of an account's container."""
_BOUND = re.compile(r"\$\{\{(?P<what>inputs|outputs|parent\.inputs|parent\.jobs)\.(?P<path>[\w.-]+)\}\}")
_PATHS = re.compile(
    r"azureml:/(?P<workspace>/subscriptions/[^/]+/resourceGroups/[^/]+/providers/[^/]+/workspaces/[^/]+|)/datastores/(?P<store>[^/]+)/paths/(?P<path>.*)"
)


class Refused(Exception):
    """The service would not take this body."""


class Work:
    """Runs jobs one at a time. ``runs`` names what ran."""

    def __init__(self, read: Read, container: Container, folder: Path) -> None:
        self.read, self.container, self.folder = read, container, folder
        self.runs: list[str] = []

    def perform(self, id: str, properties: Mapping[str, Any]) -> str | None:
        """Why the job failed; None when it did not."""
        root = self.folder / id.rpartition("/")[2]
        workspace = id.partition("/jobs/")[0]
        self._known(workspace, properties.get("computeId"), "computes")
        if properties["jobType"] == "Command":
            self._known(workspace, properties["environmentId"], "environments")
            inputs = {n: _camel(v) for n, v in properties.get("inputs", {}).items()}
            outputs = {n: _camel(v) for n, v in properties.get("outputs", {}).items()}
            env = properties.get("environmentVariables", {})
            name = str(properties.get("displayName") or id.rpartition("/")[2])
            return self._run(name, properties["command"], inputs, outputs, env, root, workspace)
        assert properties["jobType"] == "Pipeline", properties["jobType"]
        return self._pipeline(properties, root, workspace)

    def _pipeline(self, properties: Mapping[str, Any], root: Path, workspace: str) -> str | None:
        given = {n: _camel(v) for n, v in properties.get("inputs", {}).items()}
        done: dict[str, dict[str, Any]] = {}
        for name, node in _ordered(properties["jobs"]):
            component = self.read(node["componentId"])
            if component is None:
                raise Refused(f"{name}: there is no component {node['componentId']}")
            spec = component["properties"]["componentSpec"]
            environment = str(spec["environment"]).removeprefix("azureml:")
            self._known(workspace, environment, "environments")
            self._known(workspace, node["computeId"], "computes")
            inputs = {n: _resolved(v, given, done) for n, v in node["inputs"].items()}
            for n, kind in spec["inputs"].items():
                if n not in inputs:
                    raise Refused(f"{name}: the input {n} is not given")
                if kind["type"] != "string":  # a binding to another node's output is mounted as the component says
                    inputs[n] = {"jobInputType": kind["type"], "mode": "ReadOnlyMount", **inputs[n]}
            if unknown := set(inputs) - set(spec["inputs"]):
                raise Refused(f"{name}: the component has no input {', '.join(sorted(unknown))}")
            outputs = {n: _camel(v) for n, v in node["outputs"].items()}
            if set(outputs) != set(spec["outputs"]):
                raise Refused(f"{name}: its outputs are not those of its component")
            env = node.get("environment_variables", {})
            failure = self._run(name, spec["command"], inputs, outputs, env, root / name, workspace)
            if failure is not None:
                return f"{name}: {failure}"
            done[name] = outputs
        return None

    def _run(
        self,
        name: str,
        command: str,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any],
        env: Mapping[str, str],
        root: Path,
        workspace: str,
    ) -> str | None:
        self.runs.append(name)
        root.mkdir(parents=True, exist_ok=True)
        bound: dict[str, str] = {}
        for n, value in inputs.items():
            bound[f"inputs.{n}"] = (
                str(value["value"]) if value.get("jobInputType") == "literal" else self._mounted(n, value, root, workspace)
            )
        for n in outputs:
            (root / "out" / n).mkdir(parents=True)
            bound[f"outputs.{n}"] = str(root / "out" / n)

        def put(match: re.Match[str]) -> str:
            key = f"{match['what']}.{match['path']}"
            if key not in bound:
                raise Refused(f"the command names {match[0]}, which is not there")
            return bound[key]

        words = _BOUND.sub(put, command)
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        home = {"PATH": path, "HOME": str(root), "TMPDIR": str(root)}
        kept = {k: v for k, v in os.environ.items() if k.startswith("MLINFRA_TEST")}
        done = subprocess.run(["bash", "-c", words], env={**kept, **home, **env}, capture_output=True, text=True, cwd=root)
        for n, value in outputs.items():  # what was written stays written, whether the command ended well or not
            self._upload(root / "out" / n, value["uri"], workspace)
        return None if done.returncode == 0 else f"exit code {done.returncode}: {done.stdout}{done.stderr}"[-1500:]

    def _mounted(self, name: str, value: Mapping[str, Any], root: Path, workspace: str) -> str:
        container, path = self._place(str(value["uri"]), workspace)
        target = root / "in" / name
        target.mkdir(parents=True)
        whole = value["jobInputType"] == "uri_file"
        prefix = path if whole or not path else path.rstrip("/") + "/"
        blobs = [b.name for b in container.list_blobs(name_starts_with=prefix)]
        if not blobs:
            raise Refused(f"there is nothing at {value['uri']}, the input {name}")
        for blob in blobs:
            file = target / (blob.rpartition("/")[2] if whole else blob[len(prefix) :])
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(container.download_blob(blob).readall())
        return str(target / path.rpartition("/")[2]) if whole else str(target)

    def _upload(self, folder: Path, uri: str, workspace: str) -> None:
        container, path = self._place(uri, workspace)
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            container.upload_blob(path + file.relative_to(folder).as_posix(), file.read_bytes(), overwrite=True)

    def _place(self, uri: str, workspace: str) -> tuple[Any, str]:
        """The container and the path of an ``azureml://`` or ``https://`` URI."""
        named = _PATHS.fullmatch(uri)
        if named:
            store = self.read(f"{named['workspace'] or workspace}/datastores/{named['store']}")
            if store is None:
                raise Refused(f"there is no datastore {named['store']}")
            properties = store["properties"]
            return self.container(properties["accountName"], properties["containerName"]), named["path"]
        parts = uri.split("/")
        if not uri.startswith("https://") or len(parts) < 5:
            raise Refused(f"{uri} is no place that can be mounted")
        at = 4 if parts[2].startswith("127.0.0.1") else 3
        account = parts[3] if at == 4 else parts[2].partition(".")[0]
        return self.container(account, parts[at]), "/".join(parts[at + 1 :])

    def _known(self, workspace: str, id: Any, collection: str) -> None:
        if not isinstance(id, str) or f"/{collection}/" not in id or self.read(id) is None:
            raise Refused(f"there is no such thing among the {collection} of {workspace.rpartition('/')[2]}: {id}")


def _camel(value: Any) -> dict[str, Any]:
    """A pipeline's nodes are written in snake_case."""
    names = {"job_input_type": "jobInputType", "job_output_type": "jobOutputType"}
    return {names.get(k, k): v for k, v in value.items()}


def _resolved(value: Any, given: Mapping[str, Any], done: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """An input of a node, bindings to the pipeline's inputs and to other nodes' outputs carried out."""
    found = _camel(value)
    bound = _BOUND.fullmatch(str(found.get("value", "")))
    if bound is None:
        return found
    if bound["what"] == "parent.inputs":
        if bound["path"] not in given:
            raise Refused(f"the pipeline has no input {bound['path']}")
        return dict(given[bound["path"]])
    node, _, output = bound["path"].partition(".outputs.")
    if bound["what"] != "parent.jobs" or output not in done.get(node, {}):
        raise Refused(f"{bound[0]} names no output of a node before")
    return {"uri": done[node][output]["uri"]}


def _ordered(nodes: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """In the order of their bindings: this is all that the service goes by."""
    above = {
        name: {m["path"].partition(".")[0] for v in node["inputs"].values() for m in _BOUND.finditer(str(v.get("value", "")))
               if m["what"] == "parent.jobs"}
        for name, node in nodes.items()
    }  # fmt: skip
    done: set[str] = set()
    while len(done) < len(nodes):
        ready = [name for name in sorted(nodes, reverse=True) if name not in done and above[name] <= done]
        if not ready:
            raise Refused("the nodes need each other in a circle")
        for name in ready:
            yield name, nodes[name]
            done.add(name)
