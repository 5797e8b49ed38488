"""Google Cloud Storage's JSON API as far as state needs it, with generation preconditions enforced, which the public emulator
ignores. https://cloud.google.com/storage/docs/json_api/v1; credentials are a real service account's, whose token comes from here."""

from __future__ import annotations

import base64
import email
import hashlib
import itertools
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from fakes.serving import Handler, served

PAGE = 1000
TOKEN = "ya29.mlinfra-test"


@dataclass
class Gcs:
    """Buckets and their objects: name → (generation, bytes)."""

    address: str = ""
    buckets: dict[str, dict[str, tuple[int, bytes]]] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    generations: Iterator[int] = field(default_factory=lambda: itertools.count(1_700_000_000_000_000))
    guard: threading.RLock = field(default_factory=threading.RLock)

    def write_credentials(self, file: Path) -> None:
        """A service-account file that google.auth.default takes."""
        serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
        rsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa")
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        account = {
            "type": "service_account", "project_id": "test", "private_key_id": "k", "private_key": pem,
            "client_email": "ci@test.iam.gserviceaccount.com", "token_uri": f"{self.address}/token",
        }  # fmt: skip
        file.write_text(json.dumps(account))


@contextmanager
def gcs_server() -> Iterator[Gcs]:
    """A running server on a free port."""
    pytest.importorskip("google.cloud.storage", reason="google-cloud-storage is not installed: pip install 'mlinfra-iac[gcp]'")
    state = Gcs()

    class Answers(_Answers):
        gcs = state

    with served(Answers) as state.address:
        yield state


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Answers(Handler):
    gcs: Gcs

    def _any(self) -> None:
        body = self.whole_body()
        path = urlsplit(self.path).path
        if path == "/token":
            answer = {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}
            return self.reply(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})
        with self.gcs.guard:
            self.gcs.requests["batch" if path.startswith("/batch") else self.command] += 1
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                return self.reply(401, b"{}")
            if path.startswith("/batch/storage/v1"):
                return self._batch(body)
            return self.reply(*self._act(self.command, self.path, self.headers, body))

    do_GET = do_POST = do_DELETE = _any

    def _act(self, method: str, url: str, headers: Message, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        try:
            steps = parts.path.split("/b/", 1)[1].split("/")
            bucket = self.gcs.buckets.get(unquote(steps[0]))
            if bucket is None:
                raise _Refused(404, "The specified bucket does not exist.")
            if len(steps) == 1:
                answer = {"kind": "storage#bucket", "name": unquote(steps[0]), "location": "EU", "projectNumber": "1"}
                return 200, json.dumps(answer).encode(), {"Content-Type": "application/json"}
            if len(steps) == 2 and method == "POST":
                return self._upload(bucket, query, headers, body)
            if len(steps) == 2 and method == "GET":
                return self._list(bucket, query)
            return self._object(method, bucket, unquote(steps[2]), query)
        except _Refused as refused:
            error = {"error": {"code": refused.status, "message": str(refused), "errors": []}}
            return refused.status, json.dumps(error).encode(), {"Content-Type": "application/json"}

    def _upload(
        self, bucket: dict[str, tuple[int, bytes]], query: dict[str, str], headers: Message, body: bytes
    ) -> tuple[int, bytes, dict[str, str]]:
        if query.get("uploadType") != "multipart":
            raise _Refused(501, f"uploadType {query.get('uploadType')} is not served here")
        whole = b"Content-Type: " + headers["Content-Type"].encode() + b"\r\n\r\n" + body
        meta, _media = email.message_from_bytes(whole).get_payload()
        resource = json.loads(meta.get_payload(decode=True))
        boundary = headers["Content-Type"].split("boundary=")[1].strip('"').encode()
        section = body.split(b"--" + boundary)[2]
        data = section.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n")
        name = resource["name"]
        found = bucket.get(name)
        wanted = query.get("ifGenerationMatch")
        if wanted is not None and int(wanted) != (found[0] if found else 0):
            raise _Refused(412, "At least one of the pre-conditions you specified did not hold.")
        if "crc32c" in resource and resource["crc32c"] != _crc32c(data):
            raise _Refused(400, "Provided CRC32C does not match.")
        generation = next(self.gcs.generations)
        bucket[name] = (generation, data)
        return 200, self._metadata(name, bucket[name]), {"Content-Type": "application/json"}

    def _list(self, bucket: dict[str, tuple[int, bytes]], query: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        names = sorted(n for n in bucket if n.startswith(query.get("prefix", "")) and n > query.get("pageToken", ""))
        page = names[: min(PAGE, int(query.get("maxResults", PAGE)))]
        answer: dict[str, object] = {"items": [{"name": n} for n in page]}
        if len(page) < len(names):
            answer["nextPageToken"] = page[-1]
        return 200, json.dumps(answer).encode(), {"Content-Type": "application/json"}

    def _object(
        self, method: str, bucket: dict[str, tuple[int, bytes]], name: str, query: dict[str, str]
    ) -> tuple[int, bytes, dict[str, str]]:
        found = bucket.get(name)
        if found is None:
            raise _Refused(404, f"No such object: {name}")
        if method == "DELETE":
            del bucket[name]
            return 204, b"", {}
        if query.get("alt") == "media":
            md5 = base64.b64encode(hashlib.md5(found[1]).digest()).decode()
            hashes = f"crc32c={_crc32c(found[1])},md5={md5}"
            return 200, found[1], {"X-Goog-Generation": str(found[0]), "X-Goog-Hash": hashes, "X-Goog-Metageneration": "1"}
        return 200, self._metadata(name, found), {"Content-Type": "application/json"}

    def _metadata(self, name: str, found: tuple[int, bytes]) -> bytes:
        answer = {"kind": "storage#object", "name": name, "generation": str(found[0]), "size": str(len(found[1]))}
        return json.dumps({**answer, "crc32c": _crc32c(found[1])}).encode()

    def _batch(self, body: bytes) -> None:
        whole = b"Content-Type: " + self.headers["Content-Type"].encode() + b"\r\n\r\n" + body
        answers = []
        for part in email.message_from_bytes(whole).get_payload():
            line, _, rest = part.get_payload(decode=True).decode().partition("\r\n" if "\r\n" in str(part) else "\n")
            method, url, _ = line.strip().split(" ", 2)
            status, content, _ = self._act(method, url, Message(), rest.encode())
            answers.append(
                f"--batch_answer\r\nContent-Type: application/http\r\nContent-ID: {part.get('Content-ID', '')}\r\n\r\n"
                f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n{content.decode()}\r\n"
            )
        out = ("".join(answers) + "--batch_answer--\r\n").encode()
        self.reply(200, out, {"Content-Type": 'multipart/mixed; boundary="batch_answer"'})


def _crc32c(data: bytes) -> str:
    import google_crc32c

    return base64.b64encode(google_crc32c.Checksum(data).digest()).decode()
