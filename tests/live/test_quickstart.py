"""examples/quickstart as its README tells it: applied once with the real command, asked, changed, destroyed, in this order.

``MLINFRA_UPDATE_CASES=1`` writes the plan of today into the project's README.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "quickstart"
PROGRAMS = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

pytestmark = [pytest.mark.live, pytest.mark.slow]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("quickstart") / "quickstart"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(".mlinfra", "__pycache__"))
    try:
        mlinfra(folder, "apply", "--yes")
        yield folder
    finally:
        mlinfra(folder, "destroy", "--yes")


def mlinfra(folder: Path, *arguments: str, code: int = 0, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "mlinfra", *arguments],
        cwd=folder,
        env={**os.environ, "PATH": PROGRAMS, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def output(folder: Path, name: str) -> str:
    return mlinfra(folder, "output", "--raw", name).strip()


def search(folder: Path) -> list[str]:
    command = [sys.executable, "search.py", output(folder, "vectors_uri"), output(folder, "collection")]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()


@contextmanager
def asking_all_the_time(folder: Path) -> Iterator[list[str]]:
    """Asks through the alias, again and again, while the block runs; what every question came to is in the list afterwards."""
    answers: list[str] = []
    client, alias, done = MilvusClient(uri=output(folder, "vectors_uri")), output(folder, "collection"), threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                found = client.query(alias, filter="label >= 0", output_fields=["label"], limit=1)
                answers.append("answered" if len(found) == 1 else "empty")
            except MilvusException as error:
                answers.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        done.set()
        thread.join()
        client.close()


def test_a_plan_right_after_has_nothing_to_do(stack: Path) -> None:
    assert "known after apply" not in mlinfra(stack, "plan", "--detailed-exitcode")


def test_the_plan_that_the_readme_shows_is_the_plan_made(stack: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    shown = re.search(r"\$ mlinfra (plan .*)\n\n```text\n(.*?)```", readme, re.DOTALL)
    assert shown
    planned = mlinfra(stack, *shown[1].split(), "--no-color", COLUMNS="80")
    if os.environ.get("MLINFRA_UPDATE_CASES") == "1":
        (ROOT / "README.md").write_text(readme.replace(shown[2], planned))
    else:
        assert without_figures(planned) == without_figures(shown[2])


def without_figures(text: str) -> str:
    """Left out is what depends on the machine's arithmetic (digests of trained models, the accuracy), and which of two
    jobs that run side by side is registered first."""
    text = re.sub(r"\b0\.\d+", "<figure>", re.sub(r"\b[0-9a-f]{12}\b", "<digest>", text))
    return re.sub(r"(aliases\.\w+ =) [12] ", r"\1 <number> ", text)


def test_it_predicts_and_finds_what_looks_alike(stack: Path) -> None:
    request = urllib.request.Request(
        f"{output(stack, 'predict_url')}/invocations",
        (stack / "request.json").read_bytes(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        assert reply.headers["x-mlinfra-variant"] in ("champion", "challenger")
        assert json.load(reply) == {"predictions": [7]}
    first, *found = search(stack)
    assert first == "digit 7 is a 7; most like it are"
    assert len(found) == 5
    assert sum("a 7" in line for line in found) >= 4


def test_a_note_that_cleaning_drops_runs_the_pipeline_and_nothing_after_it(stack: Path) -> None:
    data = stack / "data" / "digits.csv"
    before = data.read_text()
    try:
        data.write_text(before.replace("scan 17\n", "scan 17 by hand\n"))
        done = mlinfra(stack, "apply", "--yes")
        assert "Apply complete! Resources: 0 added, 2 changed, 0 destroyed." in done
    finally:
        data.write_text(before)
    assert "Apply complete! Resources: 0 added, 2 changed, 0 destroyed." in mlinfra(stack, "apply", "--yes")
    mlinfra(stack, "plan", "--detailed-exitcode")


def test_fewer_dimensions_fill_a_new_collection_behind_the_same_alias(stack: Path) -> None:
    plan = mlinfra(stack, "plan", "--var", "dimensions=32")
    assert "1,797 vectors" in plan
    assert "# digits.alias will be updated in-place" in plan
    with asking_all_the_time(stack) as answers:
        mlinfra(stack, "apply", "--yes", "--var", "dimensions=32")
    assert len(answers) > 100
    assert [a for a in answers if a != "answered"] == []
    assert search(stack)[0] == "digit 7 is a 7; most like it are"
    mlinfra(stack, "apply", "--yes")
    mlinfra(stack, "plan", "--detailed-exitcode")


def test_destroying_leaves_no_process_and_no_data(stack: Path) -> None:
    assert belonging(stack)
    mlinfra(stack, "destroy", "--yes")
    assert belonging(stack) == []
    assert [p for p in (stack / ".mlinfra").rglob("*") if p.is_file() and "state" not in p.parts and p.name != ".gitignore"] == []


def belonging(folder: Path) -> list[str]:
    """Names of the live processes that work below the folder."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), process.environ().get("MLINFRA_SERVICE", "")]
            if any(word.startswith(str(folder)) for word in words) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.name())
        except (psutil.Error, OSError):
            continue
    return found


def test_the_committed_data_is_what_its_script_makes(tmp_path: Path) -> None:
    script = shutil.copy(EXAMPLE / "data" / "make_digits.py", tmp_path)
    subprocess.run([sys.executable, script], check=True)
    assert (tmp_path / "digits.csv").read_bytes() == (EXAMPLE / "data" / "digits.csv").read_bytes()
