"""What an engine's answers mean: failures, with the way out where it is known."""

from __future__ import annotations

from mlinfra.provider.failures import Conflict, Denied, Failure, Invalid, NotFound, Quota, Transient


def failed(status: int, message: str) -> Failure:
    message = message.strip()
    if status == 404:
        return NotFound(message)
    if status in (401, 403):
        return Denied(message)
    if status == 409:
        return Conflict(message)
    if status == 400:
        return Invalid(message)
    if status == 503 or "context deadline exceeded" in message or "context canceled" in message:
        return Transient(message)
    return refused(message)


def refused(message: str) -> Failure:
    """What the engine could not do, with the way out where it is known."""
    if "could not select device driver" in message or "nvidia-container-cli" in message:
        return Quota(
            "this engine has no GPU to give: " + message,
            hint="install the NVIDIA driver and the NVIDIA Container Toolkit on the engine's machine, or ask for no accelerators",
        )
    if "no space left on device" in message:
        return Quota(message, hint="make room on the engine's disk: docker system df shows what takes it")
    if "pull access denied" in message or "unauthorized" in message:
        return Denied(message, hint="is the image's name right? A private registry needs docker login first")
    if "manifest unknown" in message or "not found" in message:
        return NotFound(message)
    return Failure(message)
