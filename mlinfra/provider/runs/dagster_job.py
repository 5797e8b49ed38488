"""A Dagster job and its schedule, built from a definition: one op a step, an edge for every need.

Imported only by processes that run Dagster: mlinfra's own never pays for it.
"""

# No `from __future__ import annotations`: Dagster looks at the annotations of an op as objects.

import keyword
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import dagster

from mlinfra.provider.failures import Failure
from mlinfra.provider.progress import listening
from mlinfra.provider.runs.pipelines import Definition, ExpectationBroken, StepDefinition, StepRecord

AGAIN = "mlinfra/again"
"""A run's tag: ``false`` lets steps be found again by their fingerprint; a scheduled run, or one from the web page, has none."""


class Runner(Protocol):
    """What a target does for a pipeline: run one step, and remember a complete run."""

    def perform(self, step: StepDefinition, upstream: Mapping[str, StepRecord], *, again: bool) -> StepRecord:
        """``upstream`` is what the steps before gave; ``again`` runs it even when its fingerprint ran before. Raises Failures."""

    def keep(self, run: str, steps: Mapping[str, StepRecord]) -> None:
        """``run`` is Dagster's run id."""


Listener = Callable[[str, str], None]
"""Gets every line of a step: (step, line)."""
Witness = Callable[[str, Failure], None]
"""Gets every failure of a step: (step, failure)."""


def build_job(
    definition: Definition, runner: Runner, *, listener: Listener | None = None, witness: Witness | None = None
) -> dagster.JobDefinition:
    """The job of a definition, whose steps ``runner`` does; its last op remembers the results of a complete run."""
    ops = {step.name: _op(runner, step, listener, witness) for step in definition.steps}
    names = {step: op.name for step, op in ops.items()}
    record = _record_op(definition, runner)
    dependencies = {
        dagster.NodeInvocation(names[step.name]): {_FROM + n: dagster.DependencyDefinition(names[n]) for n in step.upstream}
        for step in definition.steps
    }
    dependencies[dagster.NodeInvocation(record.name)] = {_FROM + n: dagster.DependencyDefinition(names[n]) for n in names}
    graph = dagster.GraphDefinition(
        name=python_name(definition.name), node_defs=[*ops.values(), record], dependencies=dependencies
    )
    return graph.to_job(executor_def=dagster.in_process_executor)


def build_definitions(definition: Definition, runner: Runner) -> dagster.Definitions:
    """The code location: the job, and its schedule (running as soon as a daemon is there) when it has one."""
    job = build_job(definition, runner)
    schedules = []
    if definition.schedule:
        schedules.append(
            dagster.ScheduleDefinition(
                job=job,
                cron_schedule=definition.schedule,
                execution_timezone=definition.timezone,
                default_status=dagster.DefaultScheduleStatus.RUNNING,
            )
        )
    return dagster.Definitions(jobs=[job], schedules=schedules)


def python_name(name: str) -> str:
    """A name that Dagster takes: it refuses ``-``, Python's keywords and some words of its own."""
    clean = re.sub(r"\W", "_", name)
    return f"{clean}__" if keyword.iskeyword(clean) or clean in _TAKEN else clean


_RECORD = "keep_results"
_TAKEN = frozenset(
    {
        _RECORD, "context", "conf", "config", "meta", "arg_dict", "dict", "input_arg_dict", "output_arg_dict",
        "int", "str", "float", "bool", "input", "output", "type",
    }
)  # fmt: skip
_FROM = "from_"


def _op(runner: Runner, step: StepDefinition, listener: Listener | None, witness: Witness | None) -> dagster.OpDefinition:
    def run_step(context: dagster.OpExecutionContext, **upstream: StepRecord) -> StepRecord:
        def heard(line: str) -> None:
            context.log.info(line)
            if listener is not None:
                listener(step.name, line)

        done = {name.removeprefix(_FROM): record for name, record in upstream.items()}
        again = context.run_tags.get(AGAIN) != "false"
        try:
            with listening(heard):
                record = runner.perform(step, done, again=again)
        except Failure as failure:
            if witness is not None:
                witness(step.name, failure)
            raise dagster.Failure(failure.message, allow_retries=not isinstance(failure, ExpectationBroken)) from None
        context.add_output_metadata({**record["outputs"], **record["metrics"], "reused": record["reused"]})
        return record

    return dagster.op(
        name=python_name(step.name),
        description=step.command or "checks what it expects",
        ins=_ins(step.upstream),
        out=dagster.Out(dict),
        retry_policy=dagster.RetryPolicy(max_retries=step.retries) if step.retries else None,
    )(run_step)


def _record_op(definition: Definition, runner: Runner) -> dagster.OpDefinition:
    def keep(context: dagster.OpExecutionContext, **steps: StepRecord) -> None:
        runner.keep(context.run_id, {n.removeprefix(_FROM): r for n, r in steps.items()})

    ins = _ins(step.name for step in definition.steps)
    return dagster.op(name=_RECORD, description="remembers a complete run", ins=ins, out=dagster.Out(dagster.Nothing))(keep)


def _ins(steps: Iterable[str]) -> dict[str, dagster.In]:
    return {_FROM + step: dagster.In(dict) for step in steps}
