"""What the registered models of every target share: which version an alias names."""

from __future__ import annotations

from difflib import get_close_matches

from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.model import RegisteredModel
from mlinfra.provider.contract import LoweringContext


def aliased(spec: RegisteredModel, context: LoweringContext) -> dict[str, str]:
    """Alias → key of the version that it names. LoweringError for one that is not known at plan time, or names no version."""
    return {alias: _known(alias, version, spec, context) for alias, version in spec.aliases.items()}


def _known(alias: str, version: str, spec: RegisteredModel, context: LoweringContext) -> str:
    path = ("aliases", alias)
    if is_deferred(version):
        raise context.error("lower.unknown_alias", f"alias {alias!r} must be known at plan time", path=path)
    if version not in spec.versions:
        close = get_close_matches(version, spec.versions, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"the versions are: {', '.join(spec.versions) or 'none'}"
        raise context.error("lower.unknown_version", f"there is no version {version!r}", path=path, hint=hint)
    return version
