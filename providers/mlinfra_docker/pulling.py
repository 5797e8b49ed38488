"""Images that others publish: pulled when the engine does not have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlinfra.provider.failures import Failure, Invalid
from mlinfra.provider.progress import say
from mlinfra_docker.client import DockerClient


def ensure_image(client: DockerClient, reference: str) -> None:
    """Pull an image that the engine does not have. Invalid when it has none and there is none to be had."""
    if client.optional(f"/images/{reference}/json") is not None:
        return
    if not client.config.pull or reference.startswith("sha256:"):
        raise Invalid(
            f"the engine has no image {reference}", path=("Image",), hint="build or load it there, or allow pull in the settings"
        )
    say(f"pulling {reference}")
    try:
        tag = {} if "@" in reference or ":" in reference.rpartition("/")[2] else {"tag": "latest"}
        headers = client.registry_headers(reference)
        _report(client.stream("POST", "/images/create", headers=headers, fromImage=reference, **tag), reference)
    except Failure as failure:
        raise Invalid(
            f"the engine has no image {reference}, and it cannot be pulled: {failure.message}",
            path=("Image",),
            hint=failure.hint or "providers: {docker: {images: {…}}} names a mirror's or a local image instead of a default one",
        ) from failure


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
