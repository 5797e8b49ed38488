"""What a variant's container runs: MLflow's own scoring server over a model folder, or an image of the user's with its own server.

Both answer ``POST /invocations`` and ``GET /ping`` on 8080.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from mlinfra.model.dataclass import dataclass, replace
from mlinfra.model.values import EMPTY, Map, Secret
from mlinfra.provider import files
from mlinfra.provider.failures import Invalid, NotFound
from mlinfra.provider.runs.words import requirement_lines
from mlinfra_docker import volumes
from mlinfra_docker.client import DockerClient
from mlinfra_docker.runs import environment
from mlinfra_docker.serving.proxy_config import PORT
from mlinfra_docker.volumes import MOUNTED, mount

SERVER = ("mlflow-skinny==3.17.2", "pandas==3.1.1")
"""What the scoring server needs beside the model's own requirements (FastAPI and uvicorn come with mlflow-skinny)."""

_MODEL = "/mlinfra/model"
_PATH_VARIABLE = "__pyfunc_model_path__"
"""Where ``mlflow.pyfunc.scoring_server.app`` looks for its model (MLflow's ``_SERVER_MODEL_PATH``)."""
_COMMAND = ["python", "-m", "uvicorn", "--host", "0.0.0.0", "--port", str(PORT), "--no-access-log",
            "--timeout-graceful-shutdown", "60", "mlflow.pyfunc.scoring_server.app:app"]  # fmt: skip
_WHOLE_MLFLOW = re.compile(r"\Amlflow(?![A-Za-z0-9._\[-])")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One variant's container, but for its name and limits. ``content`` is a digest over all that it is made of."""

    variant: str
    image: str
    body: Mapping[str, Any]
    files: Mapping[str, bytes] = field(default_factory=dict)
    content: str = ""


def served(
    client: DockerClient, name: str, variant: str, asked: Map, base: str, variables: Mapping[str, str], marks: Mapping[str, str]
) -> Served:
    """What serves the variant; its image is built where that is needed. ``name`` is the endpoint's. Blocks.

    Invalid when its model is not there or is no MLflow model, or its requirements cannot be installed."""
    if "image" in asked:
        body: dict[str, Any] = {"Env": _env(variables), "HostConfig": {}}
        return _sealed(Served(variant=variant, image=str(asked["image"]), body=body))
    uri, path = str(asked["model"]["uri"]), ("variants", variant, "model")
    inside: dict[str, bytes] = {}
    mounts: list[Mapping[str, Any]] = []
    if uri.startswith(f"{volumes.SCHEME}://"):
        volume, folder = volumes.place(uri)
        model, listed = _in_volume(client, uri, path)
        where = f"{_MODEL}/{folder}"
        mounts.append(mount(volume, _MODEL, read_only=True))
    elif "://" in uri:
        raise Invalid(
            f"the docker target cannot read {uri!r}", path=path, hint="refer to a model's version, or give a local folder"
        )
    else:
        inside = _local(client, uri, str(asked["model"].get("digest", "")), path)
        model = inside.get(f"{_MODEL}/MLmodel", b"")
        listed = inside.get(f"{_MODEL}/requirements.txt", b"")
        where = _MODEL
    if not model:
        raise Invalid(f"{uri} is not an MLflow model folder: it has no MLmodel file", path=path)
    image = environment.build(client, name, base, _requirements(listed.decode(errors="replace")), marks)
    body = {
        "Entrypoint": _COMMAND[:1],
        "Cmd": _COMMAND[1:],
        "Env": _env({"PYTHONUNBUFFERED": "1", "MLFLOW_DISABLE_TELEMETRY": "true", **variables, _PATH_VARIABLE: where}),
        "HostConfig": {"Mounts": mounts},
    }
    # A folder in a volume is named by its content; one of this machine is known by its digest.
    known = str(asked["model"].get("digest", ""))
    return _sealed(Served(variant=variant, image=image, body=body, files=inside), uri, known)


def with_probe(made: Served, check: Mapping[str, Any]) -> Served:
    """The same with its health check: how its readiness is asked for is no part of its content."""
    return replace(made, body={**made.body, "Healthcheck": dict(check)})


def probe(path: str, patience: float) -> dict[str, Any]:
    """A container's health check: whatever the image has to ask its own port with. One that has nothing is asked by the proxy alone."""
    url = f"http://127.0.0.1:{PORT}{path}"
    python = f"import urllib.request as u; u.urlopen('{url}', timeout=5)"
    script = (
        f'if command -v python3 >/dev/null; then python3 -c "{python}"; elif command -v wget >/dev/null; then wget -q -O /dev/null {url}; '
        f"elif command -v curl >/dev/null; then curl -fsS -o /dev/null {url}; fi"
    )
    second = 1_000_000_000
    return {"Test": ["CMD-SHELL", script], "Interval": 3 * second, "Timeout": 10 * second, "Retries": 3,
            "StartPeriod": int(patience * second)}  # fmt: skip


def variables_of(env: Any) -> dict[str, str]:
    """The endpoint's ``env``, revealed."""
    given = (env.reveal() if isinstance(env, Secret) else env) or EMPTY
    return {name: str(value.reveal() if isinstance(value, Secret) else value) for name, value in given.items()}


def _sealed(made: Served, *more: str) -> Served:
    parts = [made.image, json.dumps(made.body, sort_keys=True), *more]
    return replace(made, content=hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24])


def _in_volume(client: DockerClient, uri: str, path: tuple[str, ...]) -> tuple[bytes, bytes]:
    volume, folder = volumes.place(uri)
    try:
        helper = volumes.helper(client, volume)
    except NotFound as gone:
        raise Invalid(f"{uri} does not exist", path=path, hint=gone.message) from gone
    root = f"{MOUNTED}/{volume}/{folder}"
    return helper.read(f"{root}/MLmodel") or b"", helper.read(f"{root}/requirements.txt") or b""


def _local(client: DockerClient, uri: str, digest: str, path: tuple[str, ...]) -> dict[str, bytes]:
    try:
        chosen = files.select(client.base, uri)
        if digest and files.digest_files(chosen).digest != digest:
            raise Invalid(f"the model {uri} changed since the plan was made", path=path, hint="plan again")
        return {f"{_MODEL}/{f.name}": f.path.read_bytes() for f in chosen}
    except OSError as error:
        raise Invalid(f"the model {uri} cannot be read: {error.strerror}", path=path) from error


def _requirements(listed: str) -> tuple[str, ...]:
    """The model's own, and the server's where the model does not say otherwise.

    MLflow writes itself down as a whole; of that, serving needs the skinny part (the flavours are in it, their libraries are listed
    beside it), which is a tenth of the size."""
    lines = tuple(_WHOLE_MLFLOW.sub("mlflow-skinny", line) for line in requirement_lines(listed))
    named = {match[0].lower().replace("_", "-") for line in lines if (match := _NAME.match(line))}
    return (*(needed for needed in SERVER if needed.partition("==")[0] not in named), *lines)


def _env(variables: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in variables.items()]
