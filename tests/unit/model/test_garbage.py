"""Nothing is collected while a command reads and plans; what it makes while it waits for others is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SPEC = "version: 1\nproject: p\nresources:\n" + "".join(f"  r{n}: {{kind: data, input: {n}}}\n" for n in range(300))


def run(code: str, cwd: Path | None = None) -> str:
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, check=True, capture_output=True, text=True, timeout=120).stdout


def test_a_plan_collects_nothing(tmp_path: Path) -> None:
    (tmp_path / "mlinfra.yaml").write_text(SPEC)
    code = (
        "import gc, sys\n"
        "from mlinfra.__main__ import main\n"
        "from mlinfra.model import garbage\n"
        "began = []\n"
        "hold_back = garbage.hold_back\n"
        "def held_back():\n"
        "    hold_back()\n"
        "    gc.callbacks.append(lambda phase, info: began.append(phase))\n"
        "garbage.hold_back = held_back\n"
        "sys.argv = ['mlinfra', 'plan']\n"
        "assert main() == 0\n"
        "print('collections', len(gc.callbacks), len(began))\n"
    )
    assert run(code, tmp_path).splitlines()[-1] == "collections 1 0"


def test_cycles_made_while_a_command_waits_are_found_and_what_was_made_before_is_left_alone() -> None:
    code = (
        "import asyncio, gc\n"
        "from mlinfra.model.garbage import hold_back\n"
        "from mlinfra.model.loops import a_loop, run_async\n"
        "hold_back()\n"
        "class Node: pass\n"
        "before = [Node() for _ in range(1000)]\n"
        "ended = []\n"
        "async def work():\n"
        "    await a_loop()\n"
        "    assert gc.isenabled() and gc.get_freeze_count() > 1000\n"
        "    gc.callbacks.append(lambda phase, info: ended.append(info['collected']) if phase == 'stop' else None)\n"
        "    for _ in range(1_100_000):\n"
        "        node = []\n"
        "        node.append(node)\n"
        "assert not gc.isenabled()\n"
        "run_async(work())\n"
        "print(len(ended), ended[0] > 900_000)\n"
    )
    assert run(code).split() == ["1", "True"]


def test_a_program_that_uses_mlinfra_keeps_its_own_settings() -> None:
    code = (
        "import gc\n"
        "from mlinfra.model.loops import a_loop, run_async\n"
        "gc.set_threshold(500, 5, 5)\n"
        "async def work():\n"
        "    await a_loop()\n"
        "run_async(work())\n"
        "print(gc.get_threshold(), gc.isenabled(), gc.get_freeze_count())\n"
        "gc.disable()\n"
        "run_async(work())\n"
        "print(gc.isenabled())\n"
    )
    assert run(code).split() == ["(500,", "5,", "5)", "True", "0", "False"]
