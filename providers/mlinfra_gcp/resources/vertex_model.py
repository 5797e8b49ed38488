"""``gcp.vertex_model`` (a version of a model) and ``gcp.vertex_model_aliases``.

https://cloud.google.com/vertex-ai/docs/model-registry/versioning
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from mlinfra.model.dataclass import replace
from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Path, Value, is_known
from mlinfra.provider import ownership
from mlinfra.provider.failures import AlreadyExists, Failure, Invalid, NotFound
from mlinfra_gcp import marks
from mlinfra_gcp.client import GcpClient
from mlinfra_gcp.engine.resource import TableType
from mlinfra_gcp.operations import finished, pending
from mlinfra_gcp.shape import alike
from mlinfra_gcp.table import Body, Row

DOC = "aiplatform.v1"
_M = "projects.locations.models"


class Model(TableType):
    """One version of a model: the first that is uploaded makes the model, later ones go under it as their parent.

    ``name`` is the model's id; the id is ``…/models/NAME@NUMBER``. A version has labels of its own, by which it is found."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="gcp.vertex_model", doc=DOC, collection=_M, schema="GoogleCloudAiplatformV1Model", scope="location",
                chosen="modelId", create="upload", hidden=("etag", "versionAliases"),
                fixed={n: "set when the version is uploaded (models.upload)" for n in ("containerSpec", "encryptionSpec", "pipelineJob",
                       "predictSchemata", "baseModelSource", "dataStats")},
                adds={"digest": Attribute(type="string", computed=True, immutable=True, source="a version's content never changes")},
                extra={"number": lambda b: str(b["versionId"]), "uri": lambda b: f"{str(b['name']).partition('@')[0]}@{b['versionId']}"},
                name_pattern=r"[a-z_][a-z0-9_-]{0,62}", create_first=True,
            )
        )  # fmt: skip
        self.schema = _without_id(self.schema)

    async def create(self, client: GcpClient, desired: Desired, token: str) -> Observed:
        wanted = self.placed(client, desired.attributes)
        parent = self.row.parent(wanted)
        model = f"{parent}/models/{wanted['name']}"
        body = self.body(client, wanted, client.owner(desired.address, token))
        body["labels"][_DIGEST] = digest_of(wanted).removeprefix("sha256:")[:63]
        owner = await self._owner(client, model)
        if owner is None:
            try:
                return await self._upload(client, desired, parent, {"model": body, "modelId": wanted["name"]}, token)
            except AlreadyExists:  # another version of ours was faster
                owner = await self._owner(client, model)
        ours = client.owner(desired.address, token).marks(marks.label_value)
        if owner is not None and any(owner.get(k) != ours[k] for k in ("mlinfra-project", "mlinfra-env")):
            raise AlreadyExists(f"there is a model {model} already, and it is not ours", import_id=f"{model}@default")
        return await self._upload(client, desired, parent, {"model": body, "parentModel": model}, token)

    async def delete(self, client: GcpClient, recorded: ResourceState) -> None:
        model, _, number = recorded.id.partition("@")
        versions = await self._versions(client, model)
        mine = next((v for v in versions if str(v["versionId"]) == number), None)
        if mine is None:
            return
        try:
            if len(versions) == 1:
                answer = await client.call(DOC, f"{_M}.delete", {"name": model})
            else:
                if "default" in (mine.get("versionAliases") or ()):
                    heir = max((v for v in versions if v is not mine), key=lambda v: int(v["versionId"]))
                    await client.call(
                        DOC,
                        f"{_M}.mergeVersionAliases",
                        {"name": f"{model}@{heir['versionId']}"},
                        {"versionAliases": ["default"]},
                    )
                answer = await client.call(DOC, f"{_M}.deleteVersion", {"name": recorded.id})
            await finished(client, DOC, answer, what=f"deleting version {number} of {model.rpartition('/')[2]}")
        except NotFound:
            return

    async def find(self, client: GcpClient, desired: Desired, token: str) -> Observed | None:
        wanted = self.placed(client, desired.attributes)
        model = f"{self.row.parent(wanted)}/models/{wanted['name']}"
        found = await self._with_token(client, model, token)
        if found is None:
            waited = False
            for place in (model, self.row.parent(wanted)):
                async for operation in pending(client, DOC, place):
                    if f"/models/{wanted['name']}" in str(operation):
                        waited = True
                        try:
                            await finished(client, DOC, operation, what=f"uploading {wanted['name']}, begun before")
                        except Failure as failure:
                            if failure.retryable:
                                raise
            found = await self._with_token(client, model, token) if waited else None
        return None if found is None else self.observed(client, f"{model}@{found['versionId']}", found, wanted)

    async def read_many(self, client: GcpClient, recorded: Sequence[ResourceState]) -> Mapping[str, Observed]:
        answers: dict[str, Observed] = {}
        for model in dict.fromkeys(state.id.partition("@")[0] for state in recorded):
            versions = {f"{model}@{v['versionId']}": v for v in await self._versions(client, model)}
            for state in recorded:
                if state.id in versions:
                    answers[state.id] = self.observed(client, state.id, versions[state.id], state.attributes)
        return answers

    def full(self, client: GcpClient, id: str) -> str:
        if "/models/" not in id or "@" not in id:
            raise Invalid(f"{id!r} is no version of a model; write it as projects/P/locations/L/models/NAME@NUMBER")
        return id

    def observed(self, client: GcpClient, identity: str, body: Mapping[str, Any], wanted: Mapping[str, Value]) -> Observed:
        identity = f"{identity.partition('@')[0]}@{body['versionId']}"
        digest = (body.get("labels") or {}).get(_DIGEST, "")
        seen = super().observed(client, identity, {**body, "name": identity}, wanted)
        known = digest_of(wanted) if wanted else ""
        same = known.removeprefix("sha256:")[:63] == digest
        return Observed(identity, Map({**seen.attributes, "digest": known if same else digest}))

    def short(self, identity: str) -> str:
        return identity.rpartition("/")[2].partition("@")[0]

    async def _upload(self, client: GcpClient, desired: Desired, parent: str, body: Body, token: str) -> Observed:
        answer = await client.call(DOC, f"{_M}.upload", {"parent": parent}, body)
        name = body.get("modelId") or str(body["parentModel"]).rpartition("/")[2]
        done = await finished(client, DOC, answer, what=f"uploading {name}", limit=desired.timeout)
        identity = f"{parent}/models/{name}@{done['modelVersionId']}"
        return await self.settled(client, identity, desired, None)

    async def _owner(self, client: GcpClient, model: str) -> dict[str, Any] | None:
        """The marks of the model's default version; None when there is no such model."""
        live = await self.get(client, model)
        return None if live is None else dict(live.get("labels") or {})

    async def _versions(self, client: GcpClient, model: str) -> list[dict[str, Any]]:
        try:
            return [v async for v in client.pages(DOC, f"{_M}.listVersions", {"name": model}, "models")]
        except NotFound:
            return []

    async def _with_token(self, client: GcpClient, model: str, token: str) -> dict[str, Any] | None:
        return next((v for v in await self._versions(client, model) if self.token_of(v) == token), None)


_DIGEST = f"{ownership.PREFIX}digest"


def digest_of(attributes: Mapping[str, Value]) -> str:
    """The version's content: as given, or as the URI of a run's output names it, or of the image that it is."""
    given, artifact = attributes.get("digest"), attributes.get("artifactUri")
    if isinstance(given, str) and given:
        return given
    if isinstance(artifact, str) and "/content/" in artifact:
        return "sha256:" + artifact.rpartition("/content/")[2].strip("/")
    image = (attributes.get("containerSpec") or {}).get("imageUri", "")
    return "sha256:" + hashlib.sha256(f"{artifact or ''} {image}".encode()).hexdigest()


def _predict(attributes: Map) -> Mapping[str, Value]:
    artifact, container = attributes.get("artifactUri"), attributes.get("containerSpec")
    known = (artifact is None or isinstance(artifact, str)) and (container is None or is_known(container))
    return {"digest": digest_of(attributes)} if known and not _is_deferred_text(attributes.get("digest")) else {}


def _is_deferred_text(value: Value) -> bool:
    return value is not None and not isinstance(value, str)


def _without_id(schema: Schema) -> Schema:
    """Its id ends with a number that Google chooses; and two versions of one name stand side by side."""
    return replace(schema, predict=_predict, named_by="")


class ModelAliases:
    """Which versions of a model its aliases name. Merged in place: ``champion`` moves in one call, and never is without a version
    for longer than that. Aliases of others, and Google's own ``default``, are left alone."""

    schema = Schema(
        attributes={
            "model": Attribute(
                type="string", required=True, immutable=True, same=alike, source="the model whose aliases these are"
            ),
            "aliases": Attribute(type="map", required=True, description="alias → number of the version"),
            "id": Attribute(type="string", computed=True),
        },
        predict=lambda a: {"id": f"{a['model']}/aliases"} if isinstance(a.get("model"), str) else {},
        inside=("model",),
    )

    async def read(self, client: GcpClient, recorded: ResourceState) -> Observed | None:
        return await self._seen(client, recorded.id.removesuffix("/aliases"), recorded.attributes.get("aliases"))

    async def create(self, client: GcpClient, desired: Desired, token: str) -> Observed:
        model = str(desired.attributes["model"])
        held = await self._held(client, model)
        for alias, number in desired.attributes["aliases"].items():
            if alias in held and held[alias] != str(number):
                raise AlreadyExists(f"{model} has an alias {alias} already: version {held[alias]}", import_id=f"{model}/aliases")
        if held and set(held) & set(desired.attributes["aliases"]) and await self._token(client, model) != token:
            raise AlreadyExists(f"{model} has these aliases already", import_id=f"{model}/aliases")
        await self._mark(client, model, token)
        await self._write(client, model, {}, desired.attributes["aliases"])
        return await self._must(client, model, desired.attributes["aliases"])

    async def update(self, client: GcpClient, recorded: ResourceState, desired: Desired) -> Observed:
        model = recorded.id.removesuffix("/aliases")
        await self._write(client, model, recorded.attributes.get("aliases") or {}, desired.attributes["aliases"])
        return await self._must(client, model, desired.attributes["aliases"])

    async def delete(self, client: GcpClient, recorded: ResourceState) -> None:
        model = recorded.id.removesuffix("/aliases")
        try:
            await self._write(client, model, recorded.attributes.get("aliases") or {}, {})
        except NotFound:
            return

    async def find(self, client: GcpClient, desired: Desired, token: str) -> Observed | None:
        model = str(desired.attributes["model"])
        if await self._token(client, model) != token:
            return None
        return await self._seen(client, model, desired.attributes["aliases"])

    async def adopt(self, client: GcpClient, id: str) -> Observed | None:
        model = id.removesuffix("/aliases")
        if not id.endswith("/aliases") or "/models/" not in model:
            raise Invalid(f"{id!r} are no aliases; write them as projects/P/locations/L/models/NAME/aliases")
        return await self._seen(client, model, None)

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        import re

        aliases = attributes.get("aliases")
        names = list(aliases) if isinstance(aliases, Mapping) else []
        return [
            (("aliases", n), f"{n!r} is no alias that Vertex AI takes: lower-case letters, digits and -, not one letter alone")
            for n in names
            if not re.fullmatch(r"[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]", n) or n == "default"
        ]

    async def _held(self, client: GcpClient, model: str) -> dict[str, str]:
        found: dict[str, str] = {}
        async for version in client.pages(DOC, f"{_M}.listVersions", {"name": model}, "models"):
            found.update({a: str(version["versionId"]) for a in version.get("versionAliases") or () if a != "default"})
        return found

    async def _seen(self, client: GcpClient, model: str, wanted: Any) -> Observed | None:
        try:
            held = await self._held(client, model)
        except NotFound:
            return None
        mine = held if wanted is None else {a: n for a, n in held.items() if a in wanted}
        if not mine:
            return None
        return Observed(f"{model}/aliases", Map(model=model, aliases=Map(mine), id=f"{model}/aliases"))

    async def _must(self, client: GcpClient, model: str, aliases: Map) -> Observed:
        seen = await self._seen(client, model, aliases)
        if seen is None:
            raise NotFound(f"the aliases of {model} are gone")
        return seen

    async def _write(self, client: GcpClient, model: str, before: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        held = await self._held(client, model)
        moves: dict[str, list[str]] = {}
        for alias, number in wanted.items():
            if held.get(alias) != str(number):
                moves.setdefault(str(number), []).append(alias)
        for alias in before:
            if alias not in wanted and alias in held:
                moves.setdefault(held[alias], []).append(f"-{alias}")
        for number, merged in moves.items():
            await client.call(DOC, f"{_M}.mergeVersionAliases", {"name": f"{model}@{number}"}, {"versionAliases": merged})

    async def _token(self, client: GcpClient, model: str) -> str:
        try:
            live = await client.call(DOC, f"{_M}.get", {"name": model})
        except NotFound:
            return ""
        return str((live.get("labels") or {}).get(_ALIASES, ""))

    async def _mark(self, client: GcpClient, model: str, token: str) -> None:
        live = await client.call(DOC, f"{_M}.get", {"name": model})
        body = {"labels": {**(live.get("labels") or {}), _ALIASES: token}, "etag": live.get("etag")}
        await client.call(DOC, f"{_M}.patch", {"name": model, "updateMask": "labels"}, body)


_ALIASES = f"{ownership.PREFIX}aliases-op"
"""The label of the model's default version that says which operation made its aliases."""
