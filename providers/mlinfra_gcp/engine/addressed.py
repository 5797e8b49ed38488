"""Where an object of a row lies: its id, its parent, and what the methods that name it take."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from mlinfra.model.values import Map, Value
from mlinfra.provider.failures import Invalid, NotFound
from mlinfra_gcp.client import GcpClient
from mlinfra_gcp.table import Body, Row


class Addressed:
    """A row of the table, as far as it says how objects are named."""

    row: Row

    def __init__(self, row: Row) -> None:
        self.row = row
        self.schema = row.schema_of_attributes

    def placed(self, client: GcpClient, attributes: Mapping[str, Value]) -> Map:
        """The attributes with project and place filled in."""
        out = {**attributes}
        if not out.get("project"):
            out["project"] = client.project
        if self.row.place and not out.get(self.row.place):
            out[self.row.place] = client.region if self.row.scope == "location" else client.zone
        return Map(out)

    def full(self, client: GcpClient, id: str) -> str:
        """The id that a person gave to import, in full. Invalid when it can be none."""
        if self.row.scope == "bucket":
            return id.removeprefix("gs://").rstrip("/")
        if "/" not in id:
            placed = self.placed(client, {"name": id})
            return self.row.identity(placed) or f"{self.row.parent(placed)}/{self.row.folder}/{id}"
        if f"/{self.row.folder}/" not in id or not id.startswith("projects/"):
            where = {"location": "locations/LOCATION/", "zone": "zones/ZONE/", "global": "global/"}.get(self.row.scope, "")
            raise Invalid(f"{id!r} is no {self.row.type}; write it as projects/PROJECT/{where}{self.row.folder}/NAME")
        return id

    def id_of(self, body: Mapping[str, Any], attributes: Mapping[str, Value]) -> str:
        """The id that Google gave, with the project's id where Google writes its number."""
        return f"{self.row.parent(attributes)}/{self.row.folder}/{str(body['name']).rpartition('/')[2]}"

    def short(self, identity: str) -> str:
        """The name that a person would have written for this id."""
        return identity.rpartition("/")[2].partition("@")[0]

    async def get(self, client: GcpClient, identity: str) -> Body | None:
        try:
            return await client.call(self.row.doc, self._method("get"), self._id_params("get", identity))
        except NotFound:
            return None

    def _method(self, name: str) -> str:
        return f"{self.row.collection}.{name}"

    def _said(self, attributes: Mapping[str, Value]) -> str:
        return f"{self.row.type} {attributes.get('name', '')}".strip()

    def _create_params(self, attributes: Map, token: str) -> dict[str, Any]:
        given: dict[str, Any] = {}
        params = self.row.document.methods[self._method(self.row.create)].params
        for name in ("parent", "name"):
            if params.get(name, {}).get("in") == "path":
                given[name] = self.row.parent(attributes)
        for name in ("project", "zone"):
            if name in params:
                given[name] = attributes[name]
        if self.row.chosen not in ("", "name", "fullname") and self.row.wrap is None:
            given[self.row.chosen] = attributes["name"]
        if self.row.request_id:
            given["requestId"] = str(uuid.UUID(token))
        return given

    def _id_params(self, method: str, identity: str) -> dict[str, Any]:
        params = self.row.document.methods[self._method(method)].params
        path = [name for name, p in params.items() if p["in"] == "path"]
        if self.row.scope == "bucket" or len(path) == 1:
            return {path[0]: identity}
        steps = identity.split("/")
        given = {"project": steps[1], "zone": steps[3] if self.row.scope == "zone" else None}
        last = next(name for name in path if name not in given)
        return {**{k: v for k, v in given.items() if v is not None}, last: steps[-1]}

    def _items(self) -> str:
        """The field of a list's answer that holds the objects."""
        if self.row.listed:
            return self.row.listed
        return "items" if self.row.doc in ("compute.v1", "storage.v1") else self.row.folder

    def _list_params(self, attributes: Mapping[str, Value]) -> dict[str, Any]:
        params = self.row.document.methods[self._method("list")].params
        given: dict[str, Any] = {
            n: self.row.parent(attributes) for n in ("parent", "name") if params.get(n, {}).get("in") == "path"
        }
        given.update({n: attributes[n] for n in ("project", "zone") if n in params})
        return given

    def _listed_id(self, item: Mapping[str, Any], where: Mapping[str, Value]) -> str:
        return str(item["name"]) if self.row.scope == "bucket" else self.id_of(item, where)

    def _place_of(self, client: GcpClient, identity: str) -> dict[str, Value]:
        if self.row.scope == "bucket":
            return {"project": client.project}
        steps = identity.split("/")
        return {"project": steps[1], **({self.row.place: steps[3]} if self.row.place else {})}
