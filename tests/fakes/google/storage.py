"""Cloud Storage's JSON API: buckets with metagenerations, objects with generations, kept as files below the test's folder, so that
jobs can see them as Vertex AI's mounts show them. https://cloud.google.com/storage/docs/json_api/v1"""

from __future__ import annotations

import base64
import email
import hashlib
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from fakes.google.server import Google, Refused

_JSON = {"Content-Type": "application/json; charset=UTF-8"}
_PAGE = 50
Answer = tuple[int, bytes, dict[str, str]]


def answer(g: Google, http: str, path: str, query: dict[str, str], headers: Mapping[str, str], raw: bytes) -> Answer:
    if path.startswith("/upload/"):
        return _upload(g, http, path.removeprefix("/upload"), query, headers, raw)
    plain = path.removeprefix("/download")
    body = json.loads(raw) if raw else None
    known = {k: v for k, v in query.items() if k not in ("prettyPrint", "alt")}
    route, params = g.checked("storage", http, plain, known, body)
    for refusal in (g.refusals.get(f"storage.{route.name}") or [])[:1]:
        g.refusals[f"storage.{route.name}"].pop(0)
        raise refusal
    params = {k: unquote(v) for k, v in params.items()}
    result = (
        _bucket(g, route.verb, params, query, body) if route.collection == "buckets" else _object(g, route.verb, params, query)
    )
    g.requests[-1].status = 200
    g.after_answer(g.requests[-1])
    return result


def folder_of(g: Google, bucket: str) -> Path:
    return g.folder / "gcs" / bucket


def _bucket(g: Google, verb: str, params: dict[str, str], query: dict[str, str], body: Any) -> Answer:
    held = g.objects["storage"]
    if verb == "insert":
        if body["name"] in held:
            raise Refused(
                409, "", "Your previous request to create the named bucket succeeded and you already own it.", reason="conflict"
            )
        born = {
            **g.keep("storage", "Bucket", body),
            "id": body["name"],
            "kind": "storage#bucket",
            "metageneration": "1",
            "etag": "CAE=",
        }
        born.setdefault("location", "US")
        born["location"] = born["location"].upper()
        born.setdefault("storageClass", "STANDARD")
        held[body["name"]] = born
        folder_of(g, body["name"]).mkdir(parents=True, exist_ok=True)
        return 200, json.dumps(born).encode(), _JSON
    if verb == "list":
        return 200, json.dumps({"items": list(held.values())}).encode(), _JSON
    have = held.get(params["bucket"])
    if have is None:
        raise Refused(404, "", "The specified bucket does not exist.", reason="notFound")
    if query.get("ifMetagenerationMatch") not in (None, have["metageneration"]):
        raise Refused(412, "", "At least one of the pre-conditions you specified did not hold.", reason="conditionNotMet")
    if verb == "patch":
        _merged(have, g.keep("storage", "Bucket", body) | {k: None for k, v in body.items() if v is None})
        have["metageneration"] = str(int(have["metageneration"]) + 1)
        have["etag"] = f"CA{have['metageneration']}="
    if verb == "delete":
        if _objects(g, params["bucket"]):
            raise Refused(409, "", "The bucket you tried to delete is not empty.", reason="conflict")
        del held[params["bucket"]]
        return 204, b"", {}
    return 200, json.dumps(have).encode(), _JSON


def _merged(have: dict[str, Any], change: Mapping[str, Any]) -> None:
    for key, value in change.items():
        if value is None:
            have.pop(key, None)
        elif isinstance(value, dict) and isinstance(have.get(key), dict):
            _merged(have[key], value)
        else:
            have[key] = value


def _objects(g: Google, bucket: str) -> dict[str, Path]:
    top = folder_of(g, bucket)
    return {p.relative_to(top).as_posix(): p for p in sorted(top.rglob("*")) if p.is_file()}


def _told(bucket: str, name: str, file: Path) -> dict[str, Any]:
    data = file.read_bytes()
    generation = str(file.stat().st_mtime_ns // 1000)
    return {
        "kind": "storage#object", "name": name, "bucket": bucket, "generation": generation, "metageneration": "1",
        "size": str(len(data)), "md5Hash": base64.b64encode(hashlib.md5(data).digest()).decode(), "crc32c": _crc32c(data),
    }  # fmt: skip


def _object(g: Google, verb: str, params: dict[str, str], query: dict[str, str]) -> Answer:
    if params["bucket"] not in g.objects["storage"]:
        raise Refused(404, "", "The specified bucket does not exist.", reason="notFound")
    every = _objects(g, params["bucket"])
    if verb == "list":
        names = [n for n in every if n.startswith(query.get("prefix", "")) and n > query.get("pageToken", "")]
        page: dict[str, Any] = {"items": [_told(params["bucket"], n, every[n]) for n in names[:_PAGE]]}
        if len(names) > _PAGE:
            page["nextPageToken"] = names[_PAGE - 1]
        return 200, json.dumps(page).encode(), _JSON
    file = every.get(params["object"])
    if file is None:
        raise Refused(404, "", f"No such object: {params['object']}", reason="notFound")
    if verb == "delete":
        file.unlink()
        return 204, b"", {}
    if query.get("alt") == "media":
        told = _told(params["bucket"], params["object"], file)
        headers = {"X-Goog-Hash": f"crc32c={told['crc32c']},md5={told['md5Hash']}", "X-Goog-Generation": told["generation"]}
        return 200, file.read_bytes(), {"Content-Type": "application/octet-stream", **headers}
    return 200, json.dumps(_told(params["bucket"], params["object"], file)).encode(), _JSON


_SESSIONS: dict[str, tuple[str, str]] = {}


def _upload(g: Google, http: str, path: str, query: dict[str, str], headers: Mapping[str, str], raw: bytes) -> Answer:
    bucket = unquote(path.split("/b/")[1].split("/")[0])
    if bucket not in g.objects["storage"]:
        raise Refused(404, "", "The specified bucket does not exist.", reason="notFound")
    if query.get("uploadType") == "multipart":
        whole = b"Content-Type: " + headers["Content-Type"].encode() + b"\r\n\r\n" + raw
        meta, _media = email.message_from_bytes(whole).get_payload()  # type: ignore[misc,union-attr]
        resource = json.loads(meta.get_payload(decode=True))  # type: ignore[union-attr,arg-type]
        boundary = raw.split(b"\r\n", 1)[0]
        data = raw.split(boundary)[2].split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n")
        return _write(g, bucket, resource, query, data)
    if query.get("uploadType") == "media":
        return _write(g, bucket, {"name": query["name"]}, query, raw)
    if "upload_id" in query:
        return _write(g, bucket, {"name": _SESSIONS.pop(query["upload_id"])[1]}, {}, raw)
    if query.get("uploadType") == "resumable":
        key = uuid.uuid4().hex
        _SESSIONS[key] = (bucket, json.loads(raw)["name"])
        return 200, b"", {"Location": f"{g.address}/upload{path}?uploadType=resumable&upload_id={key}"}
    raise Refused(501, "", f"uploadType {query.get('uploadType')}")


def _write(g: Google, bucket: str, resource: Mapping[str, Any], query: Mapping[str, str], data: bytes) -> Answer:
    file = folder_of(g, bucket) / resource["name"]
    have = _told(bucket, resource["name"], file)["generation"] if file.is_file() else "0"
    if query.get("ifGenerationMatch") not in (None, have):
        raise Refused(412, "", "At least one of the pre-conditions you specified did not hold.", reason="conditionNotMet")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return 200, json.dumps(_told(bucket, resource["name"], file)).encode(), _JSON


def _crc32c(data: bytes) -> str:
    import google_crc32c

    return base64.b64encode(google_crc32c.Checksum(data).digest()).decode()
