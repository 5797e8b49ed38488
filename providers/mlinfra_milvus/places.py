"""Where a thing is: the id that a person gives to ``mlinfra import``."""

from __future__ import annotations

from urllib.parse import urlsplit

from mlinfra.model.values import Map
from mlinfra.provider.failures import Invalid


def where(id: str) -> tuple[Map, str]:
    """``http://HOST:PORT/NAME`` or ``http://HOST:PORT/DATABASE/NAME`` as (uri and database, name). Invalid when it is neither."""
    address = urlsplit(id)
    parts = [p for p in address.path.split("/") if p]
    if not address.scheme or not address.netloc or len(parts) not in (1, 2):
        raise Invalid(f"{id!r} is no place of a collection or alias", hint="write it like http://127.0.0.1:19530/default/tickets")
    database = parts[0] if len(parts) == 2 else "default"
    return Map(uri=f"{address.scheme}://{address.netloc}", database=database), parts[-1]
