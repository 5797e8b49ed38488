"""What an engine's answers and a connection's errors mean: failures, with the way out where it is known."""

from __future__ import annotations

from mlinfra.provider.failures import Conflict, Denied, Failure, Invalid, NotFound, Quota, Transient


def disconnected(error: BaseException) -> tuple[str, str]:
    """Why nothing came through, in words, and the way out where it is known."""
    reason = _root_cause(error)
    found = next((told for mark, told in _TLS.items() if mark in reason.lower().replace("_", " ")), None)
    if found is None:
        return reason, ""
    problem, hint = found
    detail = reason.partition("verify failed: ")[2].rpartition(" (")[0]
    return (f"{problem}: {detail}" if detail else problem), hint


_CLIENT = (
    "the engine asks for a client certificate that its authority signed",
    "providers: {docker: {tls: {cert: …, key: …}}} names yours",
)
_TLS = {
    "certificate verify failed": (
        "the engine's certificate is not trusted",
        "providers: {docker: {tls: {ca: …}}} names the authority that signed it, and host a name that it is for",
    ),
    "certificate required": _CLIENT,
    "bad certificate": _CLIENT,
    "unknown ca": _CLIENT,
    "http request to an https server": (
        "it speaks TLS only",
        "providers: {docker: {tls: {ca: …, cert: …, key: …}}} names the certificates",
    ),
}
"""What a broken handshake says (OpenSSL's words, and Go's) → problem and way out."""


def _root_cause(error: BaseException) -> str:
    """The innermost reason of a nest of transport errors, in words."""
    seen: set[int] = set()
    while id(error) not in seen:
        seen.add(id(error))
        inner = error.__cause__ or error.__context__ or next((a for a in error.args if isinstance(a, BaseException)), None)
        reason = getattr(error, "reason", None)
        if isinstance(reason, BaseException):
            inner = reason
        if inner is None:
            break
        error = inner
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


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
