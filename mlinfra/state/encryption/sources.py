"""Where a state's key comes from, and how much of the state it encrypts."""

from __future__ import annotations

from mlinfra.model.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where a key comes from. ``where`` is what follows ``scheme:``; a file's is absolute. Printing it shows no secret."""

    scheme: str
    where: str

    @property
    def local(self) -> bool:
        """Whether the key itself is at hand, rather than a service that uses it for us."""
        return self.scheme in ("env", "file")

    def __str__(self) -> str:
        return f"{self.scheme}:{self.where}"


@dataclass(frozen=True, slots=True)
class Encryption:
    """``sources``: the key that new data keys are wrapped with, then those that still open old ones. ``whole``: every blob of
    the state is encrypted, not only its secrets."""

    sources: tuple[KeySource, ...]
    whole: bool = False
