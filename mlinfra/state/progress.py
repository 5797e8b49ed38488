"""Which saved plan is being carried out: a small object beside the state, so that a run that was cut off can be told from a plan
that somebody else overtook."""

from __future__ import annotations

import json

from mlinfra.state.session import Location
from mlinfra.state.store import StoreConflict


def _key(where: Location) -> str:
    return f"{where.prefix}applying.json"


def begun(where: Location) -> str:
    """The digest of the saved plan that was begun and not finished; ``""`` when there is none."""
    blob = where.store.get(_key(where))
    if blob is None:
        return ""
    try:
        return str(json.loads(blob.data)["plan"])
    except (ValueError, KeyError, TypeError):
        return ""


def begin(where: Location, plan: str) -> None:
    """Note that this plan is being carried out. The holder of the lock calls it."""
    data = json.dumps({"plan": plan}).encode()
    for _ in range(3):
        blob = where.store.get(_key(where))
        try:
            where.store.put_if(_key(where), data, blob.version if blob is not None else None)
            return
        except StoreConflict:
            continue


def finish(where: Location) -> None:
    """Nothing of it is left."""
    where.store.delete(_key(where))
