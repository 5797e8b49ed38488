"""Runs a pipeline once, in this process, without a daemon: ``python -m mlinfra_local.pipelines.run_once OUTCOME``.

MLINFRA_PIPELINE names the definition, DAGSTER_HOME the instance that remembers the run. Lines of progress go to standard
output behind :data:`MARK`; what became of the run is written to the file OUTCOME.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from mlinfra.provider.failures import Failure, Timeout
from mlinfra.provider.runs.pipelines import VARIABLE
from mlinfra_local.execution.scratch import write_atomically
from mlinfra_local.pipelines.definition import read

MARK = "\x1e"
"""Tells a line of progress from what libraries print."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """``run`` is Dagster's run id; ``step`` and the rest are empty for a run that succeeded."""

    run: str
    step: str = ""
    message: str = ""
    path: tuple[str | int, ...] = ()
    hint: str = ""
    timed_out: bool = False


def read_outcome(file: Path) -> Outcome | None:
    """None when the run was killed before it ended."""
    try:
        found = json.loads(file.read_text())
        return Outcome(**{**found, "path": tuple(found["path"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def main(outcome: Path) -> int:
    """Run it; 0 when every step succeeded."""
    import dagster

    from mlinfra.provider.runs.dagster_job import AGAIN, build_job
    from mlinfra_local.pipelines.runner import LocalRunner

    file = Path(os.environ[VARIABLE])
    definition = read(file)
    failures: list[tuple[str, Failure]] = []
    runner = LocalRunner(definition, file)
    job = build_job(definition, runner, listener=_say, witness=lambda step, failure: failures.append((step, failure)))
    with dagster.DagsterInstance.get() as instance:
        # Of runs like this one there is never more than one at a time: another that seems to go on was killed.
        started = dagster.RunsFilter(statuses=[dagster.DagsterRunStatus.STARTED], tags={AGAIN: "false"})
        for run in instance.get_runs(started):
            instance.report_run_failed(run, "the process that ran it was killed")
        result = job.execute_in_process(
            instance=instance,
            raise_on_error=False,
            tags={AGAIN: "false"},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    if result.success:
        ended = Outcome(result.run_id)
    elif failures:
        step, failure = failures[-1]
        ended = Outcome(result.run_id, step, failure.message, tuple(failure.path), failure.hint, isinstance(failure, Timeout))
    else:
        broken = [e.event_specific_data.error for e in result.all_node_events if e.is_failure]
        ended = Outcome(result.run_id, "", str(broken[0].message if broken else "Dagster ended the run").strip())
    write_atomically(outcome, json.dumps({k: getattr(ended, k) for k in Outcome.__dataclass_fields__}))
    return 0 if result.success else 1


def _say(step: str, line: str) -> None:
    sys.stdout.write(f"{MARK}{step}: {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
