"""Runs a training job on a node of a Ray cluster on Azure: ``python ray_entry.py RUN``. Blobs come and go by the machine's own identity.

Standard library only, for Ray's image has no more. Tokens: https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token;
blobs: https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api
"""

from __future__ import annotations

import json
import os
import sys
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from mlinfra.provider.runs import ray_program  # noqa: E402

VERSION = "2023-11-03"
MACHINE = os.environ.get("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://169.254.169.254")
BLOCK = 64 * 2**20


class Blobs:
    """The blobs that this machine's identity may read and write."""

    def __init__(self):
        query = urllib.parse.urlencode({"api-version": "2018-02-01", "resource": "https://storage.azure.com/"})
        request = urllib.request.Request(f"{MACHINE}/metadata/identity/oauth2/token?{query}", headers={"Metadata": "true"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            self._token = json.load(answer)["access_token"]

    def ask(self, method, url, body=None, **headers):
        about = {"Authorization": f"Bearer {self._token}", "x-ms-version": VERSION, **headers}
        request = urllib.request.Request(url, body, about, method=method)
        with urllib.request.urlopen(request, timeout=600) as answer:
            return answer.read()

    def names(self, container, prefix):
        marker = ""
        while True:
            asked = {"restype": "container", "comp": "list", "prefix": prefix, "marker": marker}
            tree = ElementTree.fromstring(self.ask("GET", f"{container}?{urllib.parse.urlencode(asked)}"))
            yield from (name.text for name in tree.iter("Name"))
            marker = tree.findtext("NextMarker") or ""
            if not marker:
                return

    def fetch(self, uri, folder):
        container, path = split(uri)
        for name in self.names(container, path.rstrip("/")):
            if name == path:
                below = path.rpartition("/")[2]
            elif name.startswith(f"{path.rstrip('/')}/"):
                below = name[len(path.rstrip("/")) + 1 :]
            else:
                continue
            target = folder / below
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self.ask("GET", f"{container}/{urllib.parse.quote(name)}"))

    def put(self, file, uri):
        """In blocks: a blob may be larger than what one request takes."""
        container, path = split(uri)
        url = f"{container}/{urllib.parse.quote(path)}"
        blocks: list[str] = []
        with file.open("rb") as content:
            while part := content.read(BLOCK):
                blocks.append(f"{len(blocks):08d}".encode().hex())
                self.ask("PUT", f"{url}?comp=block&blockid={blocks[-1]}", part)
        listed = "".join(f"<Latest>{block}</Latest>" for block in blocks)
        self.ask("PUT", f"{url}?comp=blocklist", f"<?xml version='1.0'?><BlockList>{listed}</BlockList>".encode())


def split(uri):
    """The address of a container, and a name in it. An emulator has the account in its path."""
    parts = uri.split("/")
    at = 5 if parts[2].partition(":")[0] in ("127.0.0.1", "localhost") else 4
    return "/".join(parts[:at]), "/".join(parts[at:])


def main(run):
    blobs = Blobs()
    return ray_program.main(HERE, run, "", blobs.fetch, blobs.put)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
