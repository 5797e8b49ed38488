"""Damaged specs end in an error of ours, with diagnostics, never in a traceback and never in a hang.

``MLINFRA_FUZZ_EXAMPLES`` sets how many are tried (300 unless said otherwise).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlinfra.model.errors import MlinfraError
from mlinfra.workflow import validate
from mlinfra.workspace import Options

SEEDS = Path(__file__).parent / "seeds"
EXAMPLES = int(os.environ.get("MLINFRA_FUZZ_EXAMPLES", "300"))
SECRET = "planted-and-never-shown"

STACKS = {
    "tickets": {
        "mlinfra.yaml": (SEEDS / "tickets.yaml").read_bytes(),
        "data/tickets.csv": b"id,text\n1,hello\n",
        "models/router-v2/MLmodel": b"flavors: {}\n",
        "pipeline/clean.py": b"print('clean')\n",
    },
    "language": {
        "mlinfra.yaml": (SEEDS / "language.yaml").read_bytes(),
        "modules/part/mlinfra.yaml": (SEEDS / "module.yaml").read_bytes(),
        "modules/part/data.csv": b"1\n",
    },
}
VALUES = [
    "", "~", "true", "no", "0", "-1", "5", "1.5", "1e400", ".nan", ".inf", "99999999999999999999", "[]", "{}", "''", "[1, [2]]",
    "{a: {b: {c: 1}}}", "text", "'a b'", '"a\\0b"', '"\\ud83d"', '"\\uFFFD"', "2024-01-01", "!!int x", "!x y", "*base", "*nobody",
    "&new x", "|", ">-", "[" * 70 + "]" * 70, "x" * 5000, "ä€😀", "local", "aws", "docker", "data", "bucket", "data_pipeline",
    "docker.network", "local.bucket", "local.nothing", "${", "${}", "${ }", "$${x}", "${raw}", "${base.output}", "${base.nothing}",
    "${item}", '${item["a"].output}', "${item['zz']}", "${vars.count}", "${vars.names}", "${vars.nothing}", "${vars}", "${vars.api_key}",
    "${env}", "${project}", "${each.key}", "${each.value.x}", "${module.part.total}", "${module}", "${module.part}", "${self}",
    "${stacks.net.x}", "${1/0}", "${1 +}", "${'a' + 1}", "${size(vars.names)}", "${[1,2][5]}", "${{'a': 1}}", "${'}'}",
    "${vars.names.map(x, x + 1)}", "${9223372036854775807 + 1}", "${string(base.output)}", "x ${base.output} y ${vars.sizes}",
    "${" * 50, "${(((((1)))))}", "${(" + "(" * 300,
    "${a.b.c.d.e}", "${timestamp('x')}", "${b'x'}", "${type(1)}", "H100:8", "16GiB", "60s", "0 3 * * *",
    "99 99 * * *", "> 1000", "python x.py", "./modules/part", "./modules", "git::https://example.com/x", "missing.csv",
]  # fmt: skip
KEYS = [
    "kind", "target", "for_each", "enabled", "depends_on", "tags", "native", "lifecycle", "existing", "properties", "input",
    "source", "with", "resources", "modules", "outputs", "variables", "project", "version", "environments", "providers", "state",
    "moved", "removed", "imports", "policies", "stacks", "value", "sensitive", "check", "rule", "default", "type", "protect",
    "<<", "raw", "base", "item", "copy", "each", "vars", "self", "for", "in", "A-B", "ä", "", "5", "~", "? x", "[a]", "x" * 300,
]  # fmt: skip
TOKENS = [
    "- ", "  ", "\n", ": ", "#", "|", ">", '"', "'", "{", "}", "[", "]", ",", "&a ", "*a", "!!str ", "? ", "\t", "---\n", "...\n", "<<: ",
    "\\", "$", "${", "}", "%", "@", "`", "\r", "\r\n", "\x00", "\x07", "\x85", "\u2028", "\ufeff", "😀", ".", "(", ")", "+", "==", "&&", "?", ":",
]  # fmt: skip

Damage = Callable[[bytes, int, int], bytes]


def replace_byte(text: bytes, place: int, what: int) -> bytes:
    place %= len(text) + 1
    return text[:place] + bytes([what % 256]) + text[place + 1 :]


def cut_bytes(text: bytes, place: int, what: int) -> bytes:
    place %= len(text) + 1
    return text[:place] + text[place + 1 + what % 8 :]


def cut_the_rest(text: bytes, place: int, what: int) -> bytes:
    return text[: place % (len(text) + 1)]


def insert_token(text: bytes, place: int, what: int) -> bytes:
    place %= len(text) + 1
    return text[:place] + TOKENS[what % len(TOKENS)].encode() + text[place:]


def on_lines(change: Callable[[list[bytes], int, int], None]) -> Damage:
    def damage(text: bytes, place: int, what: int) -> bytes:
        lines = text.split(b"\n")
        change(lines, place % len(lines), what)
        return b"\n".join(lines)

    return damage


@on_lines
def delete_line(lines: list[bytes], place: int, what: int) -> None:
    del lines[place]


@on_lines
def repeat_line(lines: list[bytes], place: int, what: int) -> None:
    lines.insert(what % (len(lines) + 1), lines[place])


@on_lines
def swap_lines(lines: list[bytes], place: int, what: int) -> None:
    other = what % len(lines)
    lines[place], lines[other] = lines[other], lines[place]


@on_lines
def indent_line(lines: list[bytes], place: int, what: int) -> None:
    line = lines[place]
    lines[place] = b" " * (what % 4 + 1) + line if what % 2 else line[what % 4 + 1 :]


@on_lines
def replace_value(lines: list[bytes], place: int, what: int) -> None:
    head, colon, _ = lines[place].partition(b": ")
    value = VALUES[what % len(VALUES)].encode("utf-8", "surrogatepass")
    lines[place] = head + (colon or b": ") + value


@on_lines
def replace_flow_value(lines: list[bytes], place: int, what: int) -> None:
    """A value inside braces, quoted when it needs to be."""
    parts = lines[place].split(b": ")
    if len(parts) > 2:
        value = VALUES[what % len(VALUES)].encode("utf-8", "surrogatepass")
        quoted = b'"' + value.replace(b'"', b"'") + b'"' if b"{" in value or b"[" in value else value
        at = 2 + what % (len(parts) - 2)
        rest = parts[at].lstrip(b"0123456789abcdefghijklmnopqrstuvwxyz_-\"'$.")
        parts[at] = quoted + rest
        lines[place] = b": ".join(parts)


@on_lines
def replace_key(lines: list[bytes], place: int, what: int) -> None:
    line = lines[place]
    pad = line[: len(line) - len(line.lstrip())]
    _, colon, rest = line.partition(b":")
    lines[place] = pad + KEYS[what % len(KEYS)].encode() + (colon or b":") + rest


DAMAGES: list[Damage] = [
    replace_byte, cut_bytes, cut_the_rest, insert_token, delete_line, repeat_line, swap_lines, indent_line, replace_value,
    replace_value, replace_value, replace_flow_value, replace_key, replace_key,
]  # fmt: skip
PLACES = st.integers(0, 20_000)


def write(folder: Path, stack: str, changed: dict[str, bytes]) -> None:
    for name, content in {**STACKS[stack], **changed}.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def validate_in(folder: Path, environment: str) -> MlinfraError | None:
    """What validate complains of; None when it finds nothing wrong."""
    try:
        validate(Options(directory=folder, environment=environment, environ={"MLINFRA_VAR_api_key": SECRET}))
    except MlinfraError as error:
        return error
    return None


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    stack=st.sampled_from(sorted(STACKS)),
    in_module=st.booleans(),
    damages=st.lists(st.tuples(st.sampled_from(DAMAGES), PLACES, PLACES), min_size=1, max_size=4),
    environment=st.sampled_from(["", "dev", "prod", "nowhere"]),
)
def test_a_damaged_spec_is_an_error_of_ours(
    stack: str, in_module: bool, damages: list[tuple[Damage, int, int]], environment: str
) -> None:
    specs = [name for name in STACKS[stack] if name.endswith(".yaml")]
    name = specs[-1] if in_module else specs[0]
    text = STACKS[stack][name]
    for damage, place, what in damages:
        text = damage(text, place, what)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write(folder, stack, {name: text})
        error = validate_in(folder, environment)
    if error is not None:
        assert error.diagnostics
        assert all(d.code and d.message for d in error.diagnostics)
        assert SECRET not in str(error)
        assert "Traceback" not in str(error)


@pytest.mark.parametrize("stack", sorted(STACKS))
def test_the_undamaged_specs_are_good(stack: str, tmp_path: Path) -> None:
    write(tmp_path, stack, {})
    assert validate_in(tmp_path, "dev") is None
