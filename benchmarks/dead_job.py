"""A CI job dies by SIGKILL in the middle of an apply; how long until the next job, on another machine, has finished the work?

    python benchmarks/dead_job.py [--state local,s3] [--postgres CONNINFO] [--objects 200] [--trials 3] [--lease 60s]

Nobody touches a lock. "Another machine" is a process namespace of its own (`unshare`, as root): there the dead holder's process cannot
be looked up, as on another runner, so the next job must watch the lock for one lease. `here` is the same without it: the next job on
the same machine sees that the process is gone. Seconds are those of the whole second `mlinfra apply`, start-up included; beside them what an
apply takes when nobody died.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from crash import APPLY, Setup, run, state_in, write_spec
from crash_targets import KEYS, TARGETS

ELSEWHERE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]


def die(setup: Setup, folder: Path) -> None:
    """Kill an apply that has creates under way."""
    from mlinfra import workspace
    from mlinfra.workspace import Options

    write_spec(setup, folder)
    job = subprocess.Popen(
        APPLY, cwd=folder, env={**os.environ, **setup.env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    where = workspace.location_now(Options(directory=folder, environ={**os.environ, **setup.env}))
    while not where.read().intents and job.poll() is None:
        time.sleep(0.01)
    assert job.poll() is None, "the apply ended before anything was under way"
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    where.close()


def trial(setup: Setup, before: list[str]) -> tuple[float, float]:
    """Seconds of the next job, and of one in an empty place that follows nobody."""
    with tempfile.TemporaryDirectory(prefix="mlinfra-dead-") as died, tempfile.TemporaryDirectory(prefix="mlinfra-calm-") as calm:
        die(setup, Path(died))
        began = time.monotonic()
        done = run([*before, *APPLY], Path(died), setup.env)
        took = time.monotonic() - began
        assert not done.returncode and "took over the lock" in done.stdout + done.stderr, done.stdout + done.stderr
        again = run([sys.executable, "-m", "mlinfra", "plan", "--detailed-exitcode"], Path(died), setup.env)
        assert not again.returncode, again.stdout + again.stderr
        write_spec(setup, Path(calm))
        began = time.monotonic()
        assert not run(APPLY, Path(calm), setup.env).returncode
        return took, time.monotonic() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", default="local,s3")
    parser.add_argument("--postgres", default="", help="where a PostgreSQL for trials is: a libpq conninfo")
    parser.add_argument("--objects", type=int, default=200)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--lease", default="60s")
    given = parser.parse_args()
    os.environ.update(KEYS)
    others = run([*ELSEWHERE, "true"], Path.cwd(), {}).returncode == 0
    if not others:
        print("another machine: skipped, `unshare` needs root")
    with ExitStack() as stack:
        states = {where: stack.enter_context(state_in(where)) for where in given.state.split(",") if where}
        if given.postgres:
            states["postgres"] = {"store": "postgres", "conninfo": given.postgres}
        print(f"lease {given.lease}, {given.objects} objects; seconds of the next job (of a job that follows nobody)")
        for name, state in states.items():
            setup = Setup(TARGETS["local"], given.objects, {**state, "lease": given.lease}, {})
            for where, before in {"here": [], **({"another machine": ELSEWHERE} if others else {})}.items():
                found = [trial(setup, before) for _ in range(given.trials)]
                print(f"{name:10} {where:16} " + "  ".join(f"{took:.1f} ({calm:.1f})" for took, calm in found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
