"""Measures mlinfra and, where it is installed, Terraform, in turn in the same run, and writes the table.

    python -m benchmarks [--quick] [--only NAME[,NAME]] [--write FILE]

Workloads: startup, creations, data, aws. ``--quick`` takes about three minutes: one run each, Terraform applies 200 resources, five AWS
stacks. In full it takes a quarter of an hour where nothing else runs, most of which is Terraform's. What is not installed, fails or
takes longer than it may is left out, with a word why; the page is written anew after every workload, so that one that is cut off holds
what was measured. Terraform's AWS provider is looked for in the usual local plugin folders, and in ``TF_PLUGIN_MIRROR``.
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
from benchmarks.measuring import NotMeasured, progress
from benchmarks.report import Section, machine, markdown, terraform_version
from benchmarks.terraform import BINARY

INTRODUCTION = """# Performance

Measured by `{command}` on {machine}. {terraform}. {seconds:.0f} s in all.

Figures are medians of runs taken in turn with Terraform's, as the operating system counts them: wall and processor seconds of the whole
process with its children, MB that they keep together at their peak, MB that its first process handed to `write`. A ratio is ours to theirs:
smaller is better for us. `make bench` measures anew and writes this page in about a quarter of an hour; `make bench BENCH_ARGS=--quick`
shows the small ones in about three minutes and writes nothing.
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the small ones, once")
    parser.add_argument("--only", default="", help="workloads, by comma")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page there instead of printing it")
    given = parser.parse_args()
    work: dict[str, tuple[str, Callable[[Section, Path], None]]] = {
        "startup": ("Start-up", startup.run),
        "creations": ("1,000 creations by calls to a server", partial(creations.run, quick=given.quick)),
        "data": ("`data` against `terraform_data`", partial(data.run, quick=given.quick)),
        "aws": ("AWS: stacks of thirteen objects in moto", partial(aws.run, quick=given.quick)),
    }
    wanted = given.only.split(",") if given.only else list(work)
    if unknown := [name for name in wanted if name not in work]:
        parser.error(f"there is no workload {unknown[0]!r}: {', '.join(work)}")
    where, began = machine(), time.monotonic()
    sections: list[Section] = []

    def page() -> str:
        words = " ".join(["python -m benchmarks", *sys.argv[1:]])
        seconds = time.monotonic() - began
        return (
            INTRODUCTION.format(command=words, machine=where, terraform=terraform_version(BINARY), seconds=seconds)
            + "\n"
            + markdown(sections)
        )

    for name in wanted:
        title, run = work[name]
        sections.append(Section(title))
        with tempfile.TemporaryDirectory(prefix=f"mlinfra-bench-{name}-") as folder:
            try:
                run(sections[-1], Path(folder))
            except NotMeasured as error:
                progress(f"{name} ends early: {error}")
                sections[-1].remarks.append(f"Ended early: {error}")
        if given.write:
            given.write.write_text(page())
    print(f"wrote {given.write}" if given.write else page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
