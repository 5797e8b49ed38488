"""Images that others publish: what a registry offers, and pulling it. All block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlinfra.model.values import Path
from mlinfra.provider.failures import Failure, Invalid
from mlinfra.provider.progress import say
from mlinfra_docker.client import DockerClient

_REGISTRY = 15.0
"""Seconds that a registry has to say what a tag leads to."""


def ensure_image(client: DockerClient, reference: str, *, path: Path = ("Image",)) -> None:
    """Pull an image that the engine does not have. Invalid, at ``path``, when it has none and there is none to be had."""
    if client.optional(f"/images/{reference}/json") is None:
        pull(client, reference, path=path)


def pull(client: DockerClient, reference: str, *, path: Path = ("Image",)) -> None:
    """Pull it, whatever the engine has. Invalid, at ``path``, when there is none to be had."""
    if not client.config.pull or reference.startswith("sha256:"):
        raise Invalid(
            f"the engine has no image {reference}", path=path, hint="build or load it there, or allow pull in the settings"
        )
    say(f"pulling {reference}")
    try:
        tag = {} if "@" in reference or ":" in reference.rpartition("/")[2] else {"tag": "latest"}
        headers = client.registry_headers(reference)
        _report(client.stream("POST", "/images/create", headers=headers, fromImage=reference, **tag), reference)
    except Failure as failure:
        if failure.retryable:
            raise
        raise Invalid(
            f"the engine has no image {reference}, and it cannot be pulled: {failure.message}",
            path=path,
            hint=failure.hint or "providers: {docker: {images: {…}}} names a mirror's or a local image instead of a default one",
        ) from failure


def offered(client: DockerClient, reference: str) -> str | None:
    """The digest of the manifest that its registry gives under this reference now; None when it does not tell.

    The engine asks, with our credentials: the registry is the one that it would pull from."""
    try:
        path, headers = f"/distribution/{reference}/json", client.registry_headers(reference)
        return str(client.call("GET", path, headers=headers, timeout=_REGISTRY)["Descriptor"]["digest"])
    except Failure:
        return None


def pinned(image: Mapping[str, Any], reference: str) -> str:
    """The reference by content, ``REPOSITORY@sha256:…``, of an image (as the engine inspects it) that a registry gave under
    ``reference``; ``""`` for one that came from none."""
    held: list[str] = image.get("RepoDigests") or []
    wanted = _familiar(reference.partition("@")[0])
    if ":" in wanted.rpartition("/")[2]:
        wanted = wanted.rpartition(":")[0]
    return next((entry for entry in held if entry.partition("@")[0] == wanted), "")


def _familiar(reference: str) -> str:
    """As the engine tells Docker Hub's names: without the registry, and without ``library``."""
    return reference.removeprefix("index.").removeprefix("docker.io/").removeprefix("library/")


def _report(messages: Iterator[Mapping[str, Any]], reference: str) -> None:
    """Say how far a pull is, now and then."""
    layers: dict[str, tuple[int, int]] = {}
    said = -1
    for message in messages:
        detail = message.get("progressDetail") or {}
        if detail.get("total") and message.get("status") == "Downloading":
            layers[message["id"]] = (detail["current"], detail["total"])
            done = sum(c for c, _ in layers.values()) // 10_000_000
            if done != said:
                said = done
                say(f"pulling {reference}: {done * 10} of at least {sum(t for _, t in layers.values()) // 1_000_000} MB")
