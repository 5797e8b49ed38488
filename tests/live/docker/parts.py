"""The images that code, endpoints, pipelines and clusters run in, made like those of :mod:`live.docker.images`."""

from __future__ import annotations

from live.docker.images import BASE, COMPILED, Recipe

from mlinfra_docker.pipelines.dagster_containers import REQUIREMENTS
from mlinfra_docker.runs.environment import OFFERED
from mlinfra_docker.serving.models import SERVER

PYTHON = Recipe(
    name="python-ml",
    base=BASE,
    wheels=("pip", *dict.fromkeys((*OFFERED, *SERVER))),
    config=("RUN rm -f /usr/lib/python3.11/EXTERNALLY-MANAGED", COMPILED),
)
"""In place of ``python:3.11-slim``, with what is installed on it here already: nothing can be downloaded inside a build."""

DAGSTER = Recipe(name="dagster", base=PYTHON, wheels=REQUIREMENTS, config=(COMPILED,))

HAPROXY = Recipe(
    name="haproxy",
    base=BASE,
    debian=("haproxy", "liblua5.3-0", "libpcre2-8-0", "libsystemd0", "libcap2", "libgcrypt20", "libgpg-error0", "liblz4-1",
            "libzstd1", "libopentracing-c-wrapper0", "libopentracing1"),
    config=('ENTRYPOINT ["haproxy"]', "STOPSIGNAL SIGUSR1"),
)  # fmt: skip
"""In place of ``haproxy:3.0-alpine``."""

_RAY = Recipe(name="ray", base=BASE, wheels=("ray[default]",), config=(COMPILED,))
RAY = Recipe(name="ray-bash", base=_RAY, debian=("bash",))
"""In place of ``rayproject/ray``."""

SERVER_IMAGE = Recipe(
    name="server",
    base=BASE,
    files={
        "srv/server.py": (
            "import http.server, socket\n\n"
            "asked = []\n\n\n"
            "class Handler(http.server.BaseHTTPRequestHandler):\n"
            "    protocol_version = 'HTTP/1.1'\n\n"
            "    def do_GET(self):\n"
            "        self.answer(str(len(asked)))\n\n"
            "    def do_POST(self):\n"
            "        asked.append(self.rfile.read(int(self.headers['content-length'])))\n"
            "        self.answer(socket.gethostname())\n\n"
            "    def answer(self, text):\n"
            "        self.send_response(200)\n"
            "        self.send_header('content-length', str(len(text)))\n"
            "        self.end_headers()\n"
            "        self.wfile.write(text.encode())\n\n"
            "    def log_message(self, *said):\n"
            "        pass\n\n\n"
            "http.server.ThreadingHTTPServer(('', 8080), Handler).serve_forever()\n"
        )
    },
    config=('CMD ["python3", "/srv/server.py"]',),
)
"""An image with a server of its own, as a variant may name one. A POST is answered with its container's name, a GET with how many POSTs
there were."""
