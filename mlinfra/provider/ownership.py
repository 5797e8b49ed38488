"""Whose an object in a cloud is: its labels or tags, or where there are none a line at the end of its description."""

from __future__ import annotations

from collections.abc import Callable

from mlinfra.model.dataclass import dataclass
from mlinfra.model.patterns import pattern

PREFIX = "mlinfra-"
OPERATION = "mlinfra-op"
_LINE = pattern(r"(?:\n|\A)\[mlinfra (\S*) op=([0-9a-f]*)\]\Z")


@dataclass(frozen=True, slots=True)
class Owner:
    """Project, environment and address of the stack that makes something, and the operation that does.

    ``written`` is how the cloud lets a text be written: which characters, how many."""

    project: str
    environment: str
    address: str
    token: str

    def marks(self, written: Callable[[str], str]) -> dict[str, str]:
        """The labels or tags."""
        return {
            "mlinfra-project": written(self.project),
            "mlinfra-env": written(self.environment),
            "mlinfra-address": written(self.address),
            OPERATION: self.token,
        }

    def line(self, written: Callable[[str], str], limit: int = 200) -> str:
        """``[mlinfra tickets/prod/api op=…]``, never longer than ``limit`` characters."""
        place = "/".join(written(p) for p in (self.project, self.environment, self.address))
        return f"[mlinfra {place[: limit - 50]} op={self.token}]"


def with_line(text: str, line: str, limit: int) -> str:
    """The description with the line of ownership at its end. The text is cut where both do not fit."""
    return f"{text[: limit - len(line) - 1]}\n{line}" if text else line


def without_line(text: str) -> str:
    """The description as the person wrote it."""
    return _LINE.sub("", text)


def line_of(text: str) -> str:
    """The line of ownership at the end of a description, or nothing."""
    found = _LINE.search(text)
    return found[0].strip() if found else ""


def token_in(text: str) -> str:
    """The operation that the line of ownership names, or nothing."""
    found = _LINE.search(text)
    return found[2] if found else ""
