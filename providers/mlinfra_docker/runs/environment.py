"""The image that a component's code runs in: a base, and Python packages on top where there are requirements."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence

from mlinfra.provider.failures import Conflict, Failure, Invalid, Transient
from mlinfra.provider.progress import say
from mlinfra.provider.runs.results import LAST_LINES, quoted
from mlinfra_docker import containers
from mlinfra_docker.client import DockerClient
from mlinfra_docker.pulling import ensure_image

OFFERED = ("mlflow-skinny==3.17.2", "pandas==3.1.1", "scikit-learn==1.9.1", "pymilvus==3.0.2")
"""What code finds that names neither an image nor requirements: the packages that it would find on the local target, at the
versions that mlinfra is tested with. So a stack that ran there runs here unchanged."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_DOCKERFILE = """\
FROM {base}
COPY requirements.txt /mlinfra/requirements.txt
RUN python -m pip install --no-cache-dir --disable-pip-version-check -r /mlinfra/requirements.txt
"""


def build(client: DockerClient, name: str, base: str, requirements: Sequence[str], labels: Mapping[str, str]) -> str:
    """The tag of ``base`` with ``requirements`` (pip's syntax) installed; ``base`` itself when there are none. Made once: a tag
    carries the digest of both. ``name`` is whose it is (see :func:`discard`). Blocks.

    Invalid, with pip's last lines, when they cannot be installed."""
    try:
        ensure_image(client, base)
    except Invalid as failure:
        failure.path = ("image",)  # what the engine calls Image
        raise
    if not requirements:
        return base
    text = "\n".join(requirements) + "\n"
    digest = hashlib.sha256(f"{base}\n{text}".encode()).hexdigest()[:12]
    tag = f"{_repository(name)}:{digest}"
    if client.optional(f"/images/{tag}/json") is not None:
        return tag
    say(f"building an image with {len(requirements)} requirements on {base}")
    context = containers.tar_of({"Dockerfile": _DOCKERFILE.format(base=base).encode(), "requirements.txt": text.encode()})
    said: list[str] = []
    headers = {"Content-Type": "application/x-tar"}
    try:
        for message in client.stream(
            "POST", "/build", data=context, headers=headers, t=tag, rm="true", forcerm="true", labels=dict(labels)
        ):
            for line in str(message.get("stream", "")).splitlines():
                line = _COLOURS.sub("", line)
                if line.strip():
                    said = [*said[-LAST_LINES + 1 :], line.rstrip()]
                    if line.startswith(("Collecting", "Successfully installed")):
                        say(line.rstrip()[:200])
    except Transient:
        raise
    except Failure as failure:
        raise Invalid(
            f"the requirements cannot be installed on {base}: {failure.message}{quoted(said)}",
            path=("requirements",),
            hint=failure.hint or "the engine's machine must reach the package index, and the image must have Python with pip",
        ) from failure
    return tag


def discard(client: DockerClient, name: str, *keep: str) -> None:
    """Remove the images that were built for ``name``, but not ``keep``; one in use stays until the next time. Blocks."""
    listed = client.get("/images/json", filters={"reference": [f"{_repository(name)}:*"], "label": [*_ours(client)]})
    for item in listed:
        for tag in item.get("RepoTags") or ():
            if tag not in keep:
                try:
                    client.delete(f"/images/{tag}")
                except Conflict:
                    continue


def _ours(client: DockerClient) -> list[str]:
    return [f"{key}={value}" for key, value in client.shared_labels().items()]


def _repository(name: str) -> str:
    return f"mlinfra/{name}"
