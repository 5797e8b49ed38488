"""Random SIGKILLs of a real `apply` of 200 objects; after each, the next apply must put everything right by itself.

    python benchmarks/crash.py [--trials 200] [--objects 200] [--state local,s3] [--seed 1] [--terraform 20]

A trial: apply in a fresh folder, SIGKILL at a random moment between the opening of the state and the end, `apply` again,
then look. Counted are objects in the world
that nobody has recorded (orphans), objects that stand for one address twice (duplicates), and trials whose second apply failed
or left something to do (failed re-runs). Then `destroy`, which must leave nothing. The target is `local`: buckets, and values that depend on
them. State in S3 is kept by a moto server that this script starts (boto3 and moto[server]).

Terraform stands beside it, where `terraform` is on the PATH, with its built-in `terraform_data` (no plugin needed): every object
runs a command that makes a file, as a provider makes an object. Orphans are files that its state does not know.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATIENCE = 300


@dataclass
class Tally:
    """What the trials of one set-up came to. ``killed``: trials whose kill hit before the apply had ended."""

    name: str
    trials: int = 0
    killed: int = 0
    orphans: int = 0
    duplicates: int = 0
    failed: int = 0
    complaints: list[str] = field(default_factory=list)

    def row(self) -> str:
        figures = "".join(f"{n:>12}" for n in (self.trials, self.killed, self.orphans, self.duplicates, self.failed))
        return f"{self.name:26}{figures}"


def run(command: list[str], folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def kill_after(
    command: list[str], folder: Path, environment: Mapping[str, str], seconds: float, *, begun: Path | None = None
) -> bool:
    """Start the command in a session of its own and SIGKILL all of that, ``seconds`` after its start (or after the file ``begun``
    has appeared); False when it had ended before."""
    process = subprocess.Popen(
        command, cwd=folder, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    while begun is not None and not begun.exists() and process.poll() is None:
        time.sleep(0.002)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def spec(objects: int, state: Mapping[str, Any]) -> str:
    """Two buckets to a value that names one of them: half of the objects are things, a third have dependents."""
    lines = ["version: 1", "project: crash", f"state: {json.dumps(dict(state))}", "resources:"]
    for number in range(objects):
        if number % 3 == 2:
            lines.append(f"  v{number}: {{kind: data, input: '${{b{number - 1}.uri}}'}}")
        else:
            lines.append(f"  b{number}: {{kind: bucket}}")
    return "\n".join(lines) + "\n"


def mlinfra_trial(
    tally: Tally, folder: Path, objects: int, state: Mapping[str, Any], seconds: float, env: Mapping[str, str]
) -> None:
    from mlinfra import upkeep, workflow
    from mlinfra.workspace import Options

    (folder / "mlinfra.yaml").write_text(spec(objects, state))
    command = [sys.executable, "-m", "mlinfra", "apply", "--yes"]
    tally.trials += 1
    tally.killed += kill_after(command, folder, env, seconds, begun=folder / ".mlinfra/.gitignore")
    again = run(command, folder, env)
    o = Options(directory=folder, environ={**os.environ, **env})
    quiet = workflow.plan(o).plan
    sick = [f.message for f in upkeep.doctor(o)[0] if not f.note]
    if again.returncode or not quiet.is_empty or quiet.drift or sick:
        tally.failed += 1
        tally.complaints.append(f"killed after {seconds:.2f} s: {again.stderr[-600:]} {quiet.counts()} {sick}")
    recorded = [r.id for r in upkeep.read_state(o).resources.values() if r.type == "local.bucket"]
    standing = buckets(folder)
    wanted = sum(1 for n in range(objects) if n % 3 != 2)
    tally.duplicates += max(0, len(standing) - wanted) + len(recorded) - len(set(recorded))
    tally.orphans += len(set(standing) - {Path(i).name for i in recorded})
    emptied = Options(directory=folder, environ=o.environ, mode="destroy")
    failures = workflow.apply(emptied, workflow.plan(emptied)).failures
    if failures or buckets(folder):
        tally.failed += 1
        tally.complaints.append(f"killed after {seconds:.2f} s: destroy left {buckets(folder)[:3]} {failures[:1]}")


def buckets(folder: Path) -> list[str]:
    root = folder / ".mlinfra/local/crash-default/buckets"
    return sorted(p.name for p in root.iterdir() if not p.name.startswith(".")) if root.is_dir() else []


def terraform_trial(tally: Tally, folder: Path, objects: int, seconds: float, env: Mapping[str, str]) -> None:
    (folder / "world").mkdir()
    (folder / "main.tf").write_text(
        f'resource "terraform_data" "o" {{\n  count = {objects}\n  provisioner "local-exec" {{\n'
        '    command = "mktemp world/${count.index}-XXXXXXXX"\n  }\n}\n'
    )
    assert not run(["terraform", "init", "-input=false"], folder, env).returncode, "terraform init failed"
    command = ["terraform", "apply", "-auto-approve", "-input=false", "-parallelism=10"]
    tally.trials += 1
    tally.killed += kill_after(command, folder, env, seconds)
    again = run(command, folder, env)
    if again.returncode:
        tally.failed += 1
        tally.complaints.append(f"killed after {seconds:.2f} s: {again.stderr[-300:]}")
    names = [p.name.partition("-")[0] for p in (folder / "world").iterdir()]
    tally.duplicates += len(names) - len(set(names))
    text = (folder / "terraform.tfstate").read_text() if (folder / "terraform.tfstate").exists() else ""
    known = sum(len(r["instances"]) for r in json.loads(text)["resources"]) if text else 0
    tally.orphans += max(0, len(names) - known)


@contextlib.contextmanager
def s3() -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """State settings and the environment of a moto server with one bucket."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ.update(keys)
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="state")
    try:
        yield {"store": "s3", "bucket": "state", "endpoint_url": endpoint, "region": "us-east-1"}, keys
    finally:
        server.stop()


def trials(tally: Tally, count: int, chance: random.Random, duration: float, trial: Callable[[Path, float], None]) -> Tally:
    for _ in range(count):
        with tempfile.TemporaryDirectory(prefix="mlinfra-crash-") as name:
            known = len(tally.complaints)
            trial(Path(name), chance.uniform(0.0, duration))
            for complaint in tally.complaints[known:]:
                print(f"\n{tally.name}: {complaint}", file=sys.stderr)
        print(f"\r{tally.row()}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return tally


def duration_of(work: Callable[[Path], None]) -> float:
    """Seconds that one undisturbed apply takes, from the moment it opens its state where that can be seen."""
    with tempfile.TemporaryDirectory(prefix="mlinfra-crash-") as name:
        began = time.time()
        work(Path(name))
        ended = time.time()
        opened = Path(name) / ".mlinfra/.gitignore"
        return ended - (opened.stat().st_mtime if opened.exists() else began)


def of_mlinfra(where: str, count: int, objects: int, chance: random.Random) -> Tally:
    tally = Tally(f"mlinfra, state {where}")
    with s3() if where == "s3" else contextlib.nullcontext(({"store": "local"}, {})) as (state, env):

        def prefixed(folder: Path) -> dict[str, Any]:
            return {**state, "prefix": f"{folder.name}/"} if where == "s3" else dict(state)

        def calm(folder: Path) -> None:
            (folder / "mlinfra.yaml").write_text(spec(objects, prefixed(folder)))
            done = run([sys.executable, "-m", "mlinfra", "apply", "--yes"], folder, env)
            assert not done.returncode, done.stderr

        duration = duration_of(calm)
        return trials(tally, count, chance, duration, lambda f, s: mlinfra_trial(tally, f, objects, prefixed(f), s, env))


def of_terraform(count: int, objects: int, chance: random.Random) -> Tally:
    tally = Tally("terraform, state local")
    env = {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}

    def calm(folder: Path) -> None:
        before = Tally("calm")
        terraform_trial(before, folder, objects, PATIENCE, env)
        assert not before.failed, before.complaints

    duration = duration_of(calm) * 0.8  # less the start-up of init and of the second apply
    return trials(tally, count, chance, duration, lambda f, s: terraform_trial(tally, f, objects, s, env))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200, help="trials of mlinfra altogether")
    parser.add_argument("--objects", type=int, default=200)
    parser.add_argument("--state", default="local,s3")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--terraform", type=int, default=20, help="trials of Terraform, where it is installed")
    given = parser.parse_args()
    stores = given.state.split(",")
    found: list[Tally] = []
    for index, where in enumerate(stores):
        if where == "s3":
            try:
                import boto3  # noqa: F401
                import moto  # noqa: F401
            except ImportError as error:
                print(f"state s3 skipped: {error}; pip install 'mlinfra-iac[aws]' 'moto[server]'")
                continue
        share = given.trials // len(stores) + (index < given.trials % len(stores))
        found.append(of_mlinfra(where, share, given.objects, random.Random(given.seed + index)))
    if given.terraform and shutil.which("terraform"):
        found.append(of_terraform(given.terraform, given.objects, random.Random(given.seed)))
    elif given.terraform:
        print("terraform skipped: it is not on the PATH")
    print(f"\n{given.objects} objects, SIGKILL at a random moment of the apply, seed {given.seed}, {os.cpu_count()} cores\n")
    print(f"{'':26}" + "".join(f"{title:>12}" for title in ("trials", "killed", "orphans", "duplicates", "failed")))
    for tally in found:
        print(tally.row())
    for tally in found:
        for complaint in tally.complaints[:5]:
            print(f"\n{tally.name}: {complaint}")
    ours = [t for t in found if t.name.startswith("mlinfra")]
    return int(any(t.orphans or t.duplicates or t.failed for t in ours))


if __name__ == "__main__":
    sys.exit(main())
