"""Local files that a plan has seen: read for the apply, and refused when they are no longer what they were. Does I/O."""

from __future__ import annotations

from pathlib import Path as FilePath

from mlinfra.model.values import Path
from mlinfra.provider import files
from mlinfra.provider.failures import Invalid


def as_planned(
    base: FilePath,
    path: str,
    digest: str | None,
    *,
    what: str,
    mode: files.Mode = "data",
    excluded: tuple[str, ...] = (),
    at: Path = (),
) -> list[files.SelectedFile]:
    """The files at ``path`` (relative to ``base``), whose digest was ``digest`` when the plan was made; None: nobody asked.

    Invalid, about the attribute ``at``, when they cannot be read or have changed since; ``what`` is what people call them."""
    try:
        selected = files.select(base, path, mode, excluded)
        found = files.digest_files(selected).digest if digest is not None else None
    except OSError as error:
        raise Invalid(f"{what} cannot be read: {error.strerror}", path=at) from error
    if found != digest:
        raise Invalid(f"{what} changed since the plan was made", path=at, hint="plan again")
    return selected
