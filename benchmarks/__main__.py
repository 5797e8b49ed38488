"""Measures mlinfra and, where it is installed, Terraform, in turn in the same run, and writes the table.

    python -m benchmarks [--quick] [--only NAME[,NAME]] [--write FILE]

Workloads: startup, data, creations, aws. ``--quick`` takes about three minutes: one run each, Terraform applies 200 resources, five AWS
stacks. In full it takes about an hour, most of which is Terraform's. What is not installed is left out, with a word why.
Terraform's AWS provider is looked for in the usual local plugin folders, and in ``TF_PLUGIN_MIRROR``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import aws, creations, data, startup
from benchmarks.report import Section, machine, markdown, terraform_version
from benchmarks.terraform import BINARY

INTRODUCTION = """# Performance

Measured by `{command}` on {machine}. {terraform}. {seconds:.0f} s in all.

Figures are medians of runs taken in turn with Terraform's, as the operating system counts them: wall and processor seconds of the whole
process with its children, MB at the peak of its largest process, MB that its first process handed to `write`. A ratio is ours to theirs:
smaller is better for us. `make bench` measures anew and writes this page; `make bench BENCH_ARGS=--quick` shows the small ones in about
three minutes and writes nothing.
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the small ones, once")
    parser.add_argument("--only", default="", help="workloads, by comma")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page there instead of printing it")
    given = parser.parse_args()
    work: dict[str, Callable[[Path], Section]] = {
        "startup": startup.run,
        "data": partial(data.run, quick=given.quick),
        "creations": partial(creations.run, quick=given.quick),
        "aws": partial(aws.run, quick=given.quick),
    }
    wanted = given.only.split(",") if given.only else list(work)
    if unknown := [name for name in wanted if name not in work]:
        parser.error(f"there is no workload {unknown[0]!r}: {', '.join(work)}")
    where, began = machine(), time.monotonic()
    sections = []
    for name in wanted:
        with tempfile.TemporaryDirectory(prefix=f"mlinfra-bench-{name}-") as folder:
            sections.append(work[name](Path(folder)))
    words = " ".join(sys.argv[1:])
    page = INTRODUCTION.format(
        command=f"python -m benchmarks {words}".strip(),
        machine=where,
        terraform=terraform_version(BINARY),
        seconds=time.monotonic() - began,
    )
    page += "\n" + markdown(sections)
    if given.write:
        given.write.write_text(page)
        print(f"wrote {given.write}")
    else:
        print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
