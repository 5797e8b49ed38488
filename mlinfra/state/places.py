"""Which state is meant: from a ``state:`` block, a project and an environment to a Location; and another stack's outputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlinfra.model.dataclass import replace
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import MlinfraError, StateError
from mlinfra.model.values import EMPTY, Map
from mlinfra.state.encryption.store import EncryptedStore
from mlinfra.state.lock import LEASE
from mlinfra.state.session import KEEP, Location
from mlinfra.state.stores.opening import open_store, settings_of

if TYPE_CHECKING:
    from mlinfra.state.encryption.sources import Encryption

DEFAULT_ENVIRONMENT = "default"
"""What the environment of a spec without environments is called in a store."""


def place(block: Map, project: str, environment: str, base: Path, environ: Mapping[str, str] | None = None) -> Location:
    """Where the state of ``project`` in ``environment`` is. Asks nothing of the store yet. pydantic's ValidationError or StateError
    for settings that cannot be."""
    store = open_store(block, base, environ)
    settings = settings_of(block)
    encryption = _encryption(block.get("encryption"), base)
    prefix = f"{project}/{environment or DEFAULT_ENVIRONMENT}/"
    return Location(
        EncryptedStore(store, prefix, encryption),
        prefix,
        lease=(settings and settings.lease) or LEASE,
        keep=(settings and settings.history) or KEEP,
        encryption=encryption,
    )


def _encryption(given: object, base: Path) -> Encryption | None:
    if given is None:
        return None
    from mlinfra.state.encryption.settings import read_settings

    return read_settings(given, base)


def read_outputs(where: Location, name: str) -> Map:
    """The outputs of another stack, which the spec calls ``name``; sensitive ones as Secrets, or as digests where its state keeps no
    more. StateError when it has never been applied or cannot be read."""
    try:
        state = where.read().freeze()
        if not state.lineage:
            raise StateError(
                Diagnostic(
                    code="stack.no_state",
                    message=f"there is no state of {where.prefix.rstrip('/')} there",
                    hint="apply that stack first; or check the store, project and env that name it",
                )
            )
        return where.sealer().open(state.outputs) if state.outputs else EMPTY
    except MlinfraError as error:
        raise StateError(
            [replace(d, message=f"the stack {name!r} cannot be read: {d.message}") for d in error.diagnostics]
        ) from None
    finally:
        where.close()
