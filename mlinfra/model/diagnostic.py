"""Problems as data: what is wrong, where, and what to do. Rendered once, at the edge."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum

from mlinfra.model.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a source file. Lines and columns count from 1; the end is exclusive."""

    file: str
    line: int
    column: int
    end_line: int = 0
    end_column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One problem.

    ``code`` is stable (``spec.unknown_key``), ``message`` one sentence, ``hint`` what to do (with "did you mean"),
    ``address``/``path`` the resource and attribute when a provider noticed it before anybody knew the place,
    ``related`` further places with a remark each.
    """

    code: str
    message: str
    severity: Severity = Severity.ERROR
    span: Span | None = None
    hint: str = ""
    address: str = ""
    path: tuple[str | int, ...] = ()
    related: tuple[tuple[Span, str], ...] = field(default=())

    def __str__(self) -> str:
        place = f"{self.span}: " if self.span else (f"{self.address}: " if self.address else "")
        return f"{place}{self.message}" + (f" ({self.hint})" if self.hint else "")
