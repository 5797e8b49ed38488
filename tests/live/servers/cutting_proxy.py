"""A network that loses answers: a proxy in front of an HTTP server that carries a request out and then hangs up."""

from __future__ import annotations

import http.client
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from fakes.serving import Handler, served


@dataclass
class CuttingProxy:
    """``cut`` is the method whose next answer gets lost (``""``: none); ``lost`` counts those that did. ``requests`` by method
    and ``sent`` (bytes of their bodies) count everything that came by."""

    address: str = ""
    cut: str = ""
    lost: int = 0
    sent: int = 0
    requests: Counter[str] = field(default_factory=Counter)


@contextmanager
def cutting_proxy(upstream: str) -> Iterator[CuttingProxy]:
    """A proxy in front of ``upstream`` on a free port."""
    proxy = CuttingProxy()
    target = urlsplit(upstream).netloc

    class Cuts(Handler):
        def _any(self) -> None:
            body = self.whole_body()
            proxy.requests[self.command] += 1
            proxy.sent += len(body)
            connection = http.client.HTTPConnection(target, timeout=30)
            headers = {k: v for k, v in self.headers.items() if k.lower() not in ("transfer-encoding", "expect", "connection")}
            connection.request(self.command, self.path, body, {**headers, "Content-Length": str(len(body))})
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            if proxy.cut == self.command:
                proxy.cut, proxy.lost = "", proxy.lost + 1
                self.close_connection = True
                return
            own = ("transfer-encoding", "connection", "date", "server")
            self.reply(answer.status, content, {k: v for k, v in answer.getheaders() if k.lower() not in own})

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_LOCK = do_UNLOCK = _any

    with served(Cuts) as proxy.address:
        yield proxy
