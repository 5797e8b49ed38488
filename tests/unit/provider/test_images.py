"""Images in a registry: its HTTP API with the Bearer challenge, and what is left alone when an image goes."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mlinfra.kinds.image import Image
from mlinfra.model.component import Component
from mlinfra.model.values import Map, Ref, freeze
from mlinfra.provider.contract import FileDigest, LoweringContext
from mlinfra.provider.failures import Denied, Invalid, NotFound, Quota, Transient
from mlinfra.provider.images import engine
from mlinfra.provider.images.login import Login
from mlinfra.provider.images.lowering import lower_image
from mlinfra.provider.images.pushed import PushedImage
from mlinfra.provider.images.registry import Registry

ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64


class Tokens(BaseHTTPRequestHandler):
    """A registry that answers with a Bearer challenge, as Artifact Registry and ACR do, and pages of two tags."""

    tags: dict[str, str]
    deleted: list[str]

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        if url.path == "/token":
            known = "Basic " + base64.b64encode(b"me:secret").decode()
            right = self.headers.get("Authorization") == known and query["scope"] == ["repository:team/serve:pull,push,delete"]
            self._answer(200 if right else 401, {"token": "t0ken"} if right else {"errors": [{"message": "who?"}]})
        elif self.headers.get("Authorization") != "Bearer t0ken":
            realm = f'Bearer realm="http://{self.headers["Host"]}/token",service="registry",scope="repository:team/serve:pull"'
            self._answer(401, {}, {"WWW-Authenticate": realm})
        elif url.path.endswith("/tags/list"):
            last = query.get("last", [""])[0]
            page = [t for t in sorted(self.tags) if t > last][:2]
            more = (
                {"Link": f'</v2/team/serve/tags/list?n=2&last={page[-1]}>; rel="next"'}
                if page[-1:] < sorted(self.tags)[-1:]
                else {}
            )
            self._answer(200, {"name": "team/serve", "tags": page}, more)
        else:
            name = url.path.rpartition("/")[2]
            found = self.tags.get(name) or (name if name in self.tags.values() else None)
            if found is None:
                self._answer(404, {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]})
            else:
                if self.command == "DELETE":
                    self.deleted.append(found)
                self._answer(202 if self.command == "DELETE" else 200, {}, {"Docker-Content-Digest": found})

    do_HEAD = do_DELETE = do_GET

    def _answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(raw)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def served() -> Iterator[tuple[str, type[Tokens]]]:
    handler = type("Served", (Tokens,), {"tags": {"a": ONE, "b": ONE, "c": TWO, "mark": TWO}, "deleted": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}", handler
    server.shutdown()
    server.server_close()
    thread.join()


def login(host: str, password: str = "secret") -> Login:
    return Login(repository=f"{host}/team/serve", username="me", password=password, plain=True)


def test_a_token_is_had_for_the_login_and_all_pages_are_read(served: Any) -> None:
    with Registry(login(served[0])) as registry:
        assert registry.digest("a") == ONE and registry.digest(TWO) == TWO and registry.digest("z") is None
        assert registry.tags() == ["a", "b", "c", "mark"]


def test_a_wrong_login_is_denied_and_not_told(served: Any) -> None:
    with Registry(login(served[0], "wr0ng-passw0rd")) as registry, pytest.raises(Denied) as refused:
        registry.digest("a")
    assert "wr0ng" not in str(refused.value) and "wr0ng" not in repr(login(served[0], "wr0ng-passw0rd"))


def test_the_login_goes_to_no_address_in_the_clear() -> None:
    with Registry(Login(repository="registry.example/x", username="me", password="secret")) as registry, pytest.raises(Denied):
        registry._token({"realm": "http://evil.example/token"})


def test_a_registry_that_is_away_is_transient() -> None:
    with Registry(login("127.0.0.1:9")) as registry, pytest.raises(Transient, match="cannot be reached"):
        registry.digest("a")


def test_an_image_that_another_tag_names_stays(served: Any) -> None:
    class Pushed(PushedImage):
        def login(self, client: Any, repository: str) -> Login:
            return login(served[0])

    Pushed().untag(None, login(served[0]), ONE, ("a",))
    assert served[1].deleted == []
    Pushed().untag(None, login(served[0]), TWO, ("c", "mark"))
    assert served[1].deleted == [TWO]


@pytest.mark.parametrize(
    ("message", "failure"),
    [
        ("denied: User is not authorized to perform: ecr:InitiateLayerUpload", Denied),
        ("name unknown: The repository with name 'x' does not exist", NotFound),
        ("write /var/lib/docker: no space left on device", Quota),
        ("Get http://registry: dial tcp: connection refused", Transient),
        ("dockerfile parse error line 1: unknown instruction: FORM", Invalid),
    ],
)
def test_what_the_engine_says_is_told_apart(message: str, failure: type) -> None:
    assert type(engine._refused(message)) is failure


def test_a_failed_build_is_invalid_whatever_its_last_lines_say() -> None:
    failure = engine._refused("The command 'pip install' returned 1", "the image cannot be built: ", "\n    not found")
    assert type(failure) is Invalid and failure.path == ("build",)


def lowered(**properties: Any) -> Any:
    context = LoweringContext(
        component=Component(kind="image", name="serve", target="gcp", properties=freeze(properties)), project="p", environment="dev",
        provider="gcp", digests={("app", "code"): FileDigest("sha256:1", 1, 1), ("i.tar", "data"): FileDigest("sha256:2", 1, 1, True)},
    )  # fmt: skip
    where = Ref("serve.repository", ("uri",))
    return lower_image(Image.model_validate(properties), context, type="gcp.image", repository=where, resources=())


@pytest.mark.parametrize(
    ("error", "failure"),
    [(f"No such image: {ONE}", Transient), (f"No such image: {TWO}", Invalid), ("COPY failed: no such file", Invalid)],
)
def test_an_image_that_is_gone_before_it_has_a_name_is_built_again(error: str, failure: type[Exception]) -> None:
    class Api:
        def build(self, **_: Any) -> list[dict[str, Any]]:
            return [{"stream": "Step 1/1 : FROM base"}, {"aux": {"ID": ONE}}, {"error": error}]

    with pytest.raises(failure):
        engine.Engine(Api()).build([], "mlinfra-build:one", dockerfile="Dockerfile", args={}, target=None, platform=None)


def test_other_content_is_another_tag_and_the_uri_names_the_digest() -> None:
    made = lowered(build="app")
    (image,) = made.resources
    assert image.attributes["build"] == Map(context="app", digest="sha256:1", dockerfile="Dockerfile")
    assert made.outputs["uri"] == Ref("serve", ("uri",))
    tags = {
        lowered(**p).resources[0].attributes["tag"]
        for p in (
            {"build": "app"}, {"build": {"context": "app", "args": {"A": "1"}}}, {"build": {"context": "app", "target": "slim"}},
            {"archive": "i.tar"}, {"source": "python:3.11"}, {"source": "python:3.12"},
        )
    }  # fmt: skip
    assert len(tags) == 6
