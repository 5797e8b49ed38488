"""The closed set of failures that a provider may raise; anything else is a bug in the provider and is reported as one.

Failure
├── NotFound        the object does not exist (for read and delete this is an answer, not a failure)
├── AlreadyExists   something of that name exists and is not ours
├── Throttled       slow down            retried, and halves the provider's concurrency
├── Transient       try again            retried
├── Conflict        changed meanwhile    retried
├── Denied          not allowed
├── Quota           no capacity, no quota
├── Invalid         the request can never work
└── Timeout         it took longer than allowed
"""

from __future__ import annotations

from mlinfra.model.redaction import redact
from mlinfra.model.resource import Observed
from mlinfra.model.values import Path


class Failure(Exception):
    """``partial`` is what a create left behind when it half-succeeded: it is recorded as tainted.

    ``path`` is the attribute at fault, where known; ``hint`` what to do about it.
    """

    retryable = False

    def __init__(self, message: str, *, partial: Observed | None = None, path: Path = (), hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.partial = partial
        self.path = path
        self.hint = hint

    def hide(self) -> None:
        """Take every secret that is known to this process out of what is said: clouds quote what they were given."""
        self.message, self.hint = redact(self.message), redact(self.hint)
        self.args = (self.message,)

    @property
    def code(self) -> str:
        return "provider." + "".join("_" + c.lower() if c.isupper() else c for c in type(self).__name__).lstrip("_")


class NotFound(Failure):
    pass


class AlreadyExists(Failure):
    """``import_id`` is what ``mlinfra import`` would take to adopt the thing."""

    def __init__(
        self, message: str, *, import_id: str = "", partial: Observed | None = None, path: Path = (), hint: str = ""
    ) -> None:
        super().__init__(message, partial=partial, path=path, hint=hint)
        self.import_id = import_id

    def way_out(self, address: str) -> str:
        """The command that would adopt what is in the way as ``address``; nothing where it cannot be adopted."""
        return f"if it should be managed here: mlinfra import {address} {self.import_id}" if self.import_id else ""


class Throttled(Failure):
    """``after`` is the server's wish in seconds, when it gave one."""

    retryable = True

    def __init__(self, message: str, *, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Transient(Failure):
    retryable = True


class Conflict(Failure):
    retryable = True


class Denied(Failure):
    pass


class Quota(Failure):
    pass


class Invalid(Failure):
    pass


class Timeout(Failure):
    pass
