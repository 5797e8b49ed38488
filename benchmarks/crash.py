"""Random SIGKILLs of a real `apply` of 200 objects; after each, the next apply must put everything right by itself.

    python benchmarks/crash.py [--target local|aws|docker] [--trials 200] [--objects 200] [--state local,s3] [--seed 1] [--terraform 20]

A trial: apply in an empty world, SIGKILL at a random moment between the opening of the state and the end, `apply` again,
then look. A kill that comes after the end is no trial: the next one is tried. Counted are `open` (creates that were sent or about to be, and
not recorded, when the kill came: what could have been lost), and after the second apply: objects in the world that nobody has recorded
(`orphans`), objects that stand for one address twice (`duplicates`), and trials whose second apply failed or left something to
do (`failed`). Then `destroy`, which must leave nothing.

The targets are in crash_targets.py. State in S3 is kept by a moto server that this script starts (boto3 and moto[server]).
Terraform stands beside it, where `terraform` is on the PATH: crash_terraform.py.
"""

from __future__ import annotations

import argparse
import contextlib
import json
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

import crash_terraform
from crash_targets import KEYS, TARGETS, Target, moto

PATIENCE = 900
COLUMNS = ("trials", "open", "orphans", "duplicates", "failed")


@dataclass
class Tally:
    """What the trials of one set-up came to."""

    name: str
    trials: int = 0
    open: int = 0
    orphans: int = 0
    duplicates: int = 0
    failed: int = 0
    complaints: list[str] = field(default_factory=list)

    def row(self) -> str:
        return f"{self.name:36}" + "".join(f"{getattr(self, column):>12}" for column in COLUMNS)

    def complain(self, what: str) -> None:
        self.failed += 1
        self.complaints.append(what)
        print(f"\n{self.name}: {what}", file=sys.stderr)


@dataclass(frozen=True)
class Setup:
    """One target with its state in one store. ``prefix`` below which the state of a trial lies is the trial's folder."""

    target: Target
    objects: int
    state: Mapping[str, Any]
    env: Mapping[str, str]

    def block(self, folder: Path) -> dict[str, Any]:
        return {**self.state, "prefix": f"{folder.name}/"} if self.state["store"] != "local" else dict(self.state)


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


APPLY = [sys.executable, "-m", "mlinfra", "apply", "--yes"]
OPENED = ".mlinfra/.gitignore"
"""What an apply writes just before it opens its state."""


def write_spec(setup: Setup, folder: Path) -> None:
    head = f"version: 1\nproject: crash\nstate: {json.dumps(setup.block(folder))}\n"
    (folder / "mlinfra.yaml").write_text(head + setup.target.spec(setup.objects, setup.env))


def mlinfra_trial(tally: Tally, setup: Setup, folder: Path, seconds: float) -> bool:
    """Whether the kill hit."""
    from mlinfra import upkeep, workflow, workspace
    from mlinfra.workspace import Options

    write_spec(setup, folder)
    if not kill_after(APPLY, folder, setup.env, seconds, begun=folder / OPENED):
        return False
    o = Options(directory=folder, environ={**os.environ, **setup.env})
    when = f"killed after {seconds:.2f} s"
    tally.trials += 1
    left = workspace.location_now(o)
    tally.open += len(left.read().intents)
    left.close()
    again = run(APPLY, folder, setup.env)
    quiet = workflow.plan(o).plan
    sick = [f.message for f in upkeep.doctor(o)[0] if not f.note]
    if again.returncode or not quiet.is_empty or quiet.drift or sick:
        tally.complain(f"{when}: {again.stderr[-600:]} {quiet.counts()} {sick}")
    everything = [setup.target.recorded(r.type, r.id) for r in upkeep.read_state(o).resources.values()]
    recorded = [id for id in everything if id is not None]
    standing = setup.target.standing(folder, setup.env)
    tally.duplicates += max(0, len(standing) - setup.target.things(setup.objects)) + len(recorded) - len(set(recorded))
    tally.orphans += len(set(standing) - set(recorded))
    emptied = Options(directory=folder, environ=o.environ, mode="destroy")
    failures = workflow.apply(emptied, workflow.plan(emptied)).failures
    remains = setup.target.standing(folder, setup.env)
    if failures or remains:
        tally.complain(f"{when}: destroy left {remains[:3]} {failures[:1]}")
    return True


def mlinfra_calm(setup: Setup, folder: Path) -> None:
    write_spec(setup, folder)
    done = run(APPLY, folder, setup.env)
    assert not done.returncode, done.stderr


def terraform_start(setup: Setup, folder: Path) -> tuple[list[str], dict[str, str]]:
    env = {**setup.env, **crash_terraform.environment()}
    text = crash_terraform.configuration(setup.target.name, setup.objects, setup.block(folder), setup.env)
    (folder / "main.tf").write_text(text)
    made = run(["terraform", "init", "-input=false"], folder, env)
    assert not made.returncode, f"terraform init failed: {made.stderr}"
    return ["terraform", "apply", "-auto-approve", "-input=false", "-no-color", "-parallelism=10"], env


def terraform_trial(tally: Tally, setup: Setup, folder: Path, seconds: float) -> bool:
    command, env = terraform_start(setup, folder)
    if not kill_after(command, folder, env, seconds):
        return False
    tally.trials += 1

    def known() -> list[str]:
        return crash_terraform.known(setup.target.name, run(["terraform", "state", "pull"], folder, env).stdout)

    tally.open += len(set(crash_terraform.standing(setup.target, folder, env)) - set(known()))
    again = run(command, folder, env)
    if again.returncode:
        tally.complain(f"killed after {seconds:.2f} s: {again.stderr.strip()[:300]}")
    standing, recorded = crash_terraform.standing(setup.target, folder, env), known()
    tally.duplicates += len(standing) - len(set(standing))
    tally.orphans += max(len(set(standing) - set(recorded)), len(standing) - len(recorded))
    return True


def terraform_calm(setup: Setup, folder: Path) -> None:
    command, env = terraform_start(setup, folder)
    done = run(command, folder, env)
    assert not done.returncode, done.stderr


@contextlib.contextmanager
def state_in(where: str) -> Iterator[dict[str, Any]]:
    """State settings; for S3 those of a moto server with one bucket."""
    if where == "local":
        yield {"store": "local"}
        return
    import boto3

    with moto() as endpoint:
        os.environ.update(KEYS)
        boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="state")
        yield {"store": "s3", "bucket": "state", "endpoint_url": endpoint, "region": "us-east-1"}


@contextlib.contextmanager
def trial_folder(setup: Setup) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mlinfra-crash-") as name:
        setup.target.clean(Path(name), setup.env)
        yield Path(name)


def trials(
    name: str, count: int, chance: random.Random, setup: Setup,
    calm: Callable[[Setup, Path], None], trial: Callable[[Tally, Setup, Path, float], bool],
) -> Tally:  # fmt: skip
    """So many trials whose kill hit. The longest wait is what one undisturbed apply takes, from the moment it opens its state where
    that can be seen. It follows the machine, which is not always as slow as it was: a kill that came too late lowers it, each that hit lifts
    it a little, so that the end of an apply is met as often as its beginning."""
    tally = Tally(name)
    with trial_folder(setup) as folder:
        began = time.time()
        calm(setup, folder)
        opened = folder / OPENED
        longest = time.time() - (opened.stat().st_mtime if opened.exists() else began)
    slowest = 3 * longest
    while tally.trials < count:
        with trial_folder(setup) as folder:
            seconds = chance.uniform(0.0, longest)
            hit = trial(tally, setup, folder, seconds)
            longest = min(slowest, longest * (1.1 if hit else 0.75))
        print(f"\r{tally.row()}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return tally


def shares(count: int, stores: list[str]) -> dict[str, int]:
    return {where: count // len(stores) + (index < count % len(stores)) for index, where in enumerate(stores)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="local", choices=list(TARGETS))
    parser.add_argument("--trials", type=int, default=200, help="trials of mlinfra altogether")
    parser.add_argument("--objects", type=int, default=200)
    parser.add_argument("--state", default="local,s3")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--terraform", type=int, default=20, help="trials of Terraform altogether, where it is installed")
    given = parser.parse_args()
    target, stores = TARGETS[given.target], given.state.split(",")
    ours: list[Tally] = []
    theirs: list[Tally] = []
    terraform = given.terraform if shutil.which("terraform") else 0
    if given.terraform and not terraform:
        print("terraform skipped: it is not on the PATH")
    for index, where in enumerate(stores):
        with state_in(where) as state, target.world() as env:
            setup = Setup(target, given.objects, state, {**env, **(KEYS if where == "s3" else {})})
            os.environ.update(setup.env)  # what this process itself looks at is read by each SDK's own chain
            if count := shares(given.trials, stores)[where]:
                chance = random.Random(given.seed + index)
                ours.append(trials(f"mlinfra, {target.name}, state {where}", count, chance, setup, mlinfra_calm, mlinfra_trial))
            if count := shares(terraform, stores)[where]:
                chance = random.Random(given.seed + index)
                name = f"terraform, {target.name}, state {where}"
                theirs.append(trials(name, count, chance, setup, terraform_calm, terraform_trial))
    print(f"\n{given.objects} objects, SIGKILL at a random moment of the apply, seed {given.seed}, {os.cpu_count()} cores\n")
    print(f"{'':36}" + "".join(f"{title:>12}" for title in COLUMNS))
    for tally in [*ours, *theirs]:
        print(tally.row())
    for tally in [*ours, *theirs]:
        for complaint in tally.complaints[:3]:
            print(f"\n{tally.name}: {complaint}")
    return int(any(t.orphans or t.duplicates or t.failed for t in ours))


if __name__ == "__main__":
    sys.exit(main())
