"""What pydantic refuses with, for ``except`` clauses: nobody imports pydantic before there is something for it to check."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


def refusal() -> type[ValidationError]:
    """pydantic's ValidationError. ``except refusal() as error`` is worked out only when something was raised."""
    from pydantic import ValidationError

    return ValidationError
