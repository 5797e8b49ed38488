"""Thirteen AWS objects, N times over (50), on moto: requests and seconds of apply, a plan without changes, one change, destroy.

    python benchmarks/aws_stack.py [N]

moto runs in this process with its gaps filled (tests/live/aws), mlinfra as the command in one of its own. moto answers one request at a
time, so that the seconds are mostly its own: the requests are what counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from live.aws.server import moto_aws
from live.aws.stack import stack


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as place, moto_aws() as aws:
        spec = Path(place) / "mlinfra.yaml"
        steps = (
            ("apply", ["apply", "--yes"], 5),
            ("plan, no change", ["plan", "--detailed-exitcode"], 5),
            ("apply, one change each", ["apply", "--yes"], 7),
            ("destroy", ["destroy", "--yes"], 7),
        )
        print(f"{13 * count} objects ({count} stacks of 13)")
        for name, arguments, threshold in steps:
            spec.write_text(stack(aws.url, count, threshold))
            aws.forget()
            began = time.perf_counter()
            ran = subprocess.run(
                [sys.executable, "-m", "mlinfra", *arguments],
                cwd=place, env={**os.environ, "NO_COLOR": "1"}, capture_output=True, text=True,
            )  # fmt: skip
            seconds = time.perf_counter() - began
            calls = len(aws.calls)
            print(f"{name:24} {seconds:7.1f} s {calls:6} requests {calls / count:6.1f} a stack   exit {ran.returncode}")
            if "-v" in sys.argv:
                print(f"  {dict(aws.counted().most_common())}")
            if ran.returncode:
                print(ran.stdout[-2000:], ran.stderr[-2000:])
                break
        print(f"invalid requests: {len(aws.invalid)}")


if __name__ == "__main__":
    main(next((int(a) for a in sys.argv[1:] if a.isdigit()), 50))
