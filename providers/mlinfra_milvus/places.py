"""Where a thing is: its id, and what a person gives to ``mlinfra import``.

An id is the place where a thing was made, ``http://HOST:PORT/DATABASE/NAME``. It stays with the thing when the server moves to
another port or the collection gets another name. A collection's ends in ``#`` and the first digits of the operation that made it, so
that a stranger's collection that took its place is not taken for it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from mlinfra.model.values import Map
from mlinfra.provider.failures import Invalid


def place(uri: str, database: str, name: str, operation: str = "") -> str:
    """The id of what ``operation`` made under this name; without it the place alone."""
    return f"{uri.rstrip('/')}/{database}/{name}" + (f"#{operation[:8]}" if operation else "")


def made_by(id: str) -> str:
    """The first digits of the operation that made the thing of this id; ``""`` when the id does not say."""
    return urlsplit(id).fragment


def where(id: str) -> tuple[Map, str]:
    """``http://HOST:PORT/NAME`` or ``http://HOST:PORT/DATABASE/NAME`` as (uri and database, name). Invalid when it is neither."""
    address = urlsplit(id)
    parts = [p for p in address.path.split("/") if p]
    if not address.scheme or not address.netloc or len(parts) not in (1, 2):
        raise Invalid(f"{id!r} is no place of a collection or alias", hint="write it like http://127.0.0.1:19530/default/tickets")
    database = parts[0] if len(parts) == 2 else "default"
    return Map(uri=f"{address.scheme}://{address.netloc}", database=database), parts[-1]
