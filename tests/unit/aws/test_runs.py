"""What a container gets and does: schedules, archives, and the program that runs a step, here in a folder instead of /opt/ml."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from mlinfra.model.values import Map, Secret, freeze
from mlinfra.provider import files
from mlinfra.provider.failures import Invalid
from mlinfra.provider.runs import archive
from mlinfra_aws import packing
from mlinfra_aws.lowering.cron import to_eventbridge
from mlinfra_aws.resources.artifact import pack


@pytest.mark.parametrize(
    ("cron", "expression"),
    [
        ("0 3 * * *", "cron(0 3 * * ? *)"),
        ("*/15 * * * *", "cron(*/15 * * * ? *)"),
        ("0 3 1 * *", "cron(0 3 1 * ? *)"),
        ("0 3 * * 0", "cron(0 3 ? * 1 *)"),
        ("0 3 * * 1-5", "cron(0 3 ? * 2,3,4,5,6 *)"),
        ("0 3 * * 7", "cron(0 3 ? * 1 *)"),
        ("0 3 * jan-mar mon,fri", "cron(0 3 ? JAN-MAR 2,6 *)"),
        ("@daily", "cron(0 0 * * ? *)"),
        ("@weekly", "cron(0 0 ? * 1 *)"),
    ],
)
def test_cron_is_written_as_eventbridge_reads_it(cron: str, expression: str) -> None:
    assert to_eventbridge(cron) == expression


def test_a_schedule_of_both_kinds_of_days_is_refused() -> None:
    with pytest.raises(ValueError, match="not both"):
        to_eventbridge("0 3 1 * 1")


def steps(**step: object) -> Map:
    return freeze({"one": {"outputs": ("out",), **step}})


def test_a_secret_never_gets_into_the_archive() -> None:
    with pytest.raises(Invalid, match="a secret cannot stand in params"):
        packing.describe("processing", steps(command="python a.py", params={"key": Secret("s3cr3t")}), ())


def test_the_archive_s_digest_is_that_of_what_it_holds() -> None:
    run = packing.describe("processing", steps(command="python a.py"), ())
    other = packing.describe("processing", steps(command="python b.py"), ())
    assert packing.digest_of("sha256:1", run) == packing.digest_of("sha256:1", run)
    assert len({packing.digest_of(code, text) for code in ("sha256:1", "sha256:2") for text in (run, other)}) == 4


class Container:
    """``/opt/ml`` of one processing job, in a folder."""

    def __init__(self, root: Path, code: str, **step: object) -> None:
        self.root = root
        source = root / "source"
        source.mkdir()
        (source / "main.py").write_text(code)
        run = packing.describe("processing", steps(**step), ())
        body = archive.packed(archive.program("mlinfra_aws"), run, files.select(source, ".", "code"))
        place = root / "processing/input/mlinfra"
        place.mkdir(parents=True)
        (place / packing.ARCHIVE).write_bytes(body)

    def give(self, name: str, file: str, text: str) -> None:
        place = self.root / "processing/input" / name
        place.mkdir(parents=True, exist_ok=True)
        (place / file).write_text(text)

    def run(self) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "MLINFRA_ML_ROOT": str(self.root)}
        command = packing.command("processing/input/mlinfra", "one")
        return subprocess.run(command, env={**environment, "TMPDIR": str(self.root)}, capture_output=True, text=True)

    @property
    def results(self) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.root / "processing/output/mlinfra/results.json").read_text())
        return found


COPY = """
import json, os, pathlib
out = pathlib.Path(os.environ["MLINFRA_OUTPUT_OUT"])
(out / "rows.csv").write_text(open(os.environ["MLINFRA_INPUT_RAW"]).read())
(out / "metrics.json").write_text(json.dumps({"rows_read": 2, "rank": int(os.environ["MLINFRA_RANK"])}))
"""


def test_a_step_reads_writes_and_tells_what_it_wrote(tmp_path: Path) -> None:
    box = Container(
        tmp_path, COPY, command="python main.py", inputs={"raw": "s3://b/datasets/x/rows.csv"}, expect={"rows": "> 1"}
    )
    box.give("raw", "rows.csv", "a\n1\n2\n")
    done = box.run()
    assert done.returncode == 0, done.stderr
    written = files.digest(tmp_path / "processing/output", "out")
    assert box.results["outputs"] == {"out": {"digest": written.digest, "files": {"metrics.json": 27, "rows.csv": 6}}}
    assert box.results["metrics"] == {"rows_read": 2, "rank": 0}


@pytest.mark.parametrize(
    ("code", "step", "told"),
    [
        ("raise SystemExit(3)", {}, "`python main.py` ended with exit code 3"),
        ("pass", {}, "nothing was written to the output out: write into the folder that $MLINFRA_OUTPUT_OUT names"),
        (COPY, {"expect": {"rows": "> 1000"}}, "expected rows > 1000, found 2"),
        (COPY, {"expect": {"rows_read": "> 5"}}, "expected rows_read > 5, found 2"),
    ],
)
def test_a_failure_is_told_where_sagemaker_looks_for_it(tmp_path: Path, code: str, step: dict[str, object], told: str) -> None:
    box = Container(tmp_path, code, command="python main.py", inputs={"raw": "s3://b/rows.csv"}, **step)
    box.give("raw", "rows.csv", "a\n1\n2\n")
    assert box.run().returncode == 1
    assert (tmp_path / "output/failure").read_text() == told == (tmp_path / "output/message").read_text()
    assert not (tmp_path / "processing/output/mlinfra/results.json").exists()


def test_a_model_s_archive_is_the_same_for_the_same_bytes_and_carries_its_server(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "MLmodel").write_text("flavors: {}\n")
    (model / "requirements.txt").write_text("scikit-learn==1.5\n")
    for name in ("a", "b"):
        pack(tmp_path / name, files.select(model, "."))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with tarfile.open(fileobj=BytesIO((tmp_path / "a").read_bytes())) as tar:
        assert tar.getnames() == ["MLmodel", "requirements.txt", "code/inference.py", "code/requirements.txt"]
        wanted = tar.extractfile("code/requirements.txt")
        assert wanted is not None and wanted.read() == b"mlflow-skinny\npandas\nscikit-learn==1.5\n"
    (model / "MLmodel").rename(model / "weights.bin")
    pack(tmp_path / "c", files.select(model, "."))
    with tarfile.open(tmp_path / "c") as tar:
        assert tar.getnames() == ["requirements.txt", "weights.bin"]
