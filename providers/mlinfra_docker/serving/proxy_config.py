"""The proxy's configuration: HAProxy's, as text. Pure. Its first line says what it serves, as JSON, for whoever reads it back.

Source: HAProxy 2.6 configuration manual (https://docs.haproxy.org/2.6/configuration.html); everything used is in 3.0 too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import gcd
from typing import Any

PORT = 8080
VARIANT_HEADER = "x-mlinfra-variant"
STATUS_PATH = "/-/mlinfra"
"""Answers with the digest of the configuration in force."""
MIRROR = "/mlinfra/mirror.lua"
DRAIN = 60
"""Seconds that requests under way have to end after a change."""
_MARK = "# mlinfra "
_MOST_WEIGHT = 256
_BUFFER = 1 << 20
_SHADOW_PORT = 8081


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One model container: ``host`` is its name on the network."""

    variant: str
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """``variants`` maps a name to its share (a weight; of a shadow, the percentage of copies); ``sticky`` is a header or ``""``.

    ``described`` goes into the first line: the endpoint's attributes as they were asked for."""

    variants: Mapping[str, int]
    shadows: frozenset[str]
    servers: tuple[Server, ...]
    health_path: str = "/ping"
    probe_path: str = "/ping"
    sticky: str = ""
    described: Mapping[str, Any] = field(default_factory=dict)


def render(routing: Routing) -> str:
    """The whole file. The digest in it is that of the rest."""
    body = _body(routing)
    digest = hashlib.sha256(body.encode()).hexdigest()[:16]
    return body.replace("@DIGEST@", digest)


def digest_of(text: str) -> str | None:
    """The digest that a proxy with this configuration gives at STATUS_PATH."""
    _, _, rest = text.partition('{"config": "')
    return rest.partition('"')[0] or None


def described(text: str) -> dict[str, Any] | None:
    """What the first line says; None when it is not ours."""
    line = text.partition("\n")[0]
    try:
        found = json.loads(line.removeprefix(_MARK)) if line.startswith(_MARK) else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _body(routing: Routing) -> str:
    known = json.dumps({**routing.described, "servers": {s.host: s.variant for s in routing.servers}}, sort_keys=True)
    names = list(routing.variants)
    shadows = [name for name in names if name in routing.shadows]
    answered = '{"config": "@DIGEST@"}'
    lines = [
        _MARK + known,
        "global",
        "  log stdout format raw local0 warning",
        f"  hard-stop-after {DRAIN}s",
        *([f"  tune.bufsize {_BUFFER}", f"  lua-load {MIRROR}"] if shadows else []),
        "defaults",
        "  mode http",
        "  log global",
        "  timeout connect 5s",
        "  timeout client 300s",
        "  timeout server 300s",
        "  timeout queue 60s",
        "  timeout http-keep-alive 10s",
        # After a reload the old process answers one more request on an idle connection instead of cutting it.
        "  option idle-close-on-response",
        "  option redispatch",
        "  retries 3",
        "  default-server check inter 2s fall 2 rise 1 resolvers engine init-addr libc,none",
        "resolvers engine",
        "  nameserver dns 127.0.0.11:53",
        "  hold valid 2s",
        "frontend endpoint",
        f"  bind :{PORT}",
        f"  http-request return status 200 content-type application/json string {_quoted(answered)} if {{ path {STATUS_PATH} }}",
        "  http-request use-service prometheus-exporter if { path /metrics }",
        f"  acl ping path {' '.join(dict.fromkeys(('/ping', '/health', routing.health_path)))}",
        '  http-request return status 200 content-type application/json string "\\n" if METH_GET ping { nbsrv(split) ge 1 }',
        "  http-request return status 503 content-type application/json "
        f"string {_quoted(_problem('NOT_READY', 'no model answers'))} if METH_GET ping",
        f"  http-request set-var(txn.asked) req.hdr({VARIANT_HEADER})",
    ]
    if shadows:
        lines += ["  option http-buffer-request"]
        lines += [
            f"  http-request lua.mirror {_SHADOW_PORT + number} {routing.variants[name]} "
            "if METH_POST { path /invocations } !{ var(txn.asked) -m found }"
            for number, name in enumerate(shadows)
        ]
    message = f"there is no variant of that name; there are: {', '.join(names)}"
    lines += [
        f"  http-request return status 400 content-type application/json string {_quoted(_problem('BAD_REQUEST', message))} "
        "if { var(txn.asked) -m found }" + "".join(f" !{{ var(txn.asked) -m str {_quoted(name)} }}" for name in names)
    ]
    lines += [
        f"  use_backend variant{number} if {{ var(txn.asked) -m str {_quoted(name)} }}" for number, name in enumerate(names)
    ]
    lines += ["  default_backend split"]
    for number, name in enumerate(shadows):
        lines += [
            f"frontend shadow{number}",
            f"  bind 127.0.0.1:{_SHADOW_PORT + number}",
            # Nobody but ourselves asks here: an idle connection of ours must not keep an old process, or one that is to end.
            "  option httpclose",
            "  no option idle-close-on-response",
            f"  default_backend variant{names.index(name)}",
        ]
    lines += ["backend split", *_balance(routing.sticky), *_check(routing.probe_path)]
    weights = _weights(routing)
    for number, server in enumerate(s for s in routing.servers if s.host in weights):
        lines += [
            f"  server s{number} {server.host}:{PORT} id {number + 1} weight {weights[server.host]}",
            f"  http-response set-header {VARIANT_HEADER} {_quoted(server.variant, plain=False)} if {{ srv_id {number + 1} }}",
        ]
    for number, name in enumerate(names):
        lines += [f"backend variant{number}", "  balance roundrobin", *_check(routing.probe_path)]
        lines += [f"  server s{n} {s.host}:{PORT}" for n, s in enumerate(s for s in routing.servers if s.variant == name)]
        lines += [f"  http-response set-header {VARIANT_HEADER} {_quoted(name, plain=False)}"]
    return "\n".join(lines) + "\n"


def _balance(sticky: str) -> list[str]:
    """Smooth weighted turns; with a sticky header, its value decides (requests without it take turns)."""
    return [f"  balance hdr({sticky})", "  hash-type consistent sdbm avalanche"] if sticky else ["  balance roundrobin"]


def _check(path: str) -> list[str]:
    return ["  option httpchk", f"  http-check send meth GET uri {path}", "  http-check expect status 200"]


def _weights(routing: Routing) -> dict[str, int]:
    """Host → weight of 1 to 256, in the shares' proportion as near as that range allows. Shadows and shares of 0 have none."""
    shares: dict[str, float] = {}
    for name, share in routing.variants.items():
        hosts = [s.host for s in routing.servers if s.variant == name]
        if share > 0 and name not in routing.shadows:
            shares.update(dict.fromkeys(hosts, share / len(hosts)) if hosts else {})
    if not shares:
        return {}
    counts = [sum(s.variant == name for s in routing.servers) for name in routing.variants]
    scale = 1
    for count in counts:
        scale = scale * count // gcd(scale, count) if count else scale
    whole = {host: round(share * scale) for host, share in shares.items()}
    common = gcd(*whole.values())
    whole = {host: weight // common for host, weight in whole.items()}
    most = max(whole.values())
    return whole if most <= _MOST_WEIGHT else {h: max(1, round(w * _MOST_WEIGHT / most)) for h, w in whole.items()}


def _problem(code: str, message: str) -> str:
    return json.dumps({"error_code": code, "message": message})


def _quoted(text: str, *, plain: bool = True) -> str:
    """As HAProxy's parser reads it: strong quotes, which nothing but a quote ends. A header's value is a format (not ``plain``)."""
    text = text if plain else text.replace("%", "%%")
    return "'" + text.replace("'", "'\\''") + "'"


MIRROR_PROGRAM = """\
-- Sends copies of requests to a shadow: `http-request lua.mirror PORT PERCENT`. The request itself does not wait, and a reply goes
-- nowhere. A body that does not fit the buffer is not copied.
local credit = {}
core.register_action("mirror", { "http-req" }, function(txn, port, percent)
  credit[port] = (credit[port] or 0) + tonumber(percent)
  if credit[port] < 100 then return end
  credit[port] = credit[port] - 100
  local length = tonumber(txn.sf:req_fhdr("content-length")) or -1
  local body = txn.sf:req_body() or ""
  if length > #body then return end
  local kind = txn.sf:req_fhdr("content-type")
  local headers = {
    ["content-type"] = { kind ~= "" and kind or "application/json" },
    ["content-length"] = { tostring(#body) },  -- as the request had it: some servers read no chunks
  }
  core.register_task(function()
    local client = core.httpclient()
    client:post { url = "http://127.0.0.1:" .. port .. "/invocations", headers = headers, body = body }
  end)
end, 2)
"""
