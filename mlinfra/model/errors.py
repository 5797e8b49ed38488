"""The errors of mlinfra, all in one tree.

MlinfraError                 carries diagnostics and an exit code
├── SpecError        1       the spec cannot be used
├── PlanError        1       no plan can be made (a provider is missing, a refresh failed, something is protected)
├── ApplyError       1       at least one step failed; everything done is recorded
├── StateError       1       the state is unreadable, foreign, newer or inconsistent
├── PolicyRefused    3
├── StateLocked      4
├── PlanStale        5
└── Interrupted      130
"""

from __future__ import annotations

from collections.abc import Iterable

from mlinfra.model.diagnostic import Diagnostic


class MlinfraError(Exception):
    """Base of every error that a person may see. ``str()`` is all diagnostics, a line each."""

    exit_code = 1

    def __init__(self, problems: Diagnostic | Iterable[Diagnostic]) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = (problems,) if isinstance(problems, Diagnostic) else tuple(problems)
        super().__init__("\n".join(str(d) for d in self.diagnostics))

    @classmethod
    def of(cls, code: str, message: str, *, hint: str = "", address: str = "") -> MlinfraError:
        """One error with one diagnostic that has no place in a file."""
        return cls(Diagnostic(code=code, message=message, hint=hint, address=address))


class SpecError(MlinfraError):
    pass


class PlanError(MlinfraError):
    pass


class ApplyError(MlinfraError):
    pass


class StateError(MlinfraError):
    pass


class PolicyRefused(MlinfraError):
    exit_code = 3


class StateLocked(MlinfraError):
    exit_code = 4


class PlanStale(MlinfraError):
    exit_code = 5


class Interrupted(MlinfraError):
    exit_code = 130
