"""Whose a collection is: told by the marks that it carries in its properties."""

from __future__ import annotations

from collections.abc import Mapping

from mlinfra.provider.failures import AlreadyExists, Invalid
from mlinfra_milvus.client import Server
from mlinfra_milvus.places import made_by, place

OP, PROJECT, ENVIRONMENT, ADDRESS, ASKED, FILLING = (
    f"mlinfra:{name}" for name in ("op", "project", "env", "address", "asked", "filling")
)
_OWNER = (PROJECT, ENVIRONMENT, ADDRESS)


def is_ours(id: str, properties: Mapping[str, str]) -> bool:
    """Whether the collection of that name is the one that was recorded, and not a stranger's that took its place."""
    return properties.get(OP, "").startswith(made_by(id))


def make_room(server: Server, name: str, marks: Mapping[str, str]) -> None:
    """See to it that a collection of these marks can be made under this name, or go on being made.

    What an operation of the same resource left unfinished, and which nobody can have filled, is dropped. AlreadyExists when it is
    anybody else's, or holds rows that stand nowhere else."""
    found = server.describe(name)
    if found is None:
        if (target := server.alias_target(name)) is not None:
            raise Invalid(f"{name} is an alias of the collection {target}", path=("name",))
        return
    properties: Mapping[str, str] = found["properties"]
    if properties.get(OP) == marks[OP]:
        return
    same_owner = all(properties.get(key, "") == marks[key] for key in _OWNER)
    if same_owner and (properties.get(FILLING) or server.count(name, loaded=server.is_loaded(name)) == 0):
        server.drop(name)
        return
    owner = properties.get(ADDRESS)
    whose = f"belongs to {owner} of project {properties.get(PROJECT)}" if owner else "is not ours"
    raise AlreadyExists(
        f"the collection {name} exists and {whose}", import_id=place(server.uri, server.database, name), path=("name",)
    )
