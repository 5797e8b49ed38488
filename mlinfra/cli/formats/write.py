"""A plan in every format: which flags ask for which, and the files they are written to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlinfra.model.errors import MlinfraError

if TYPE_CHECKING:
    from mlinfra.workflow import Planned

Command = Callable[..., int]
_FILE = click.Path(path_type=Path, dir_okay=False)


def report_options(function: Command) -> Command:
    """The options of every command that shows a plan: files to write it to, beside what stands on the screen."""
    for option in (
        click.option("--html", metavar="FILE", type=_FILE, help="Write the plan as one self-contained web page."),
        click.option("--markdown", metavar="FILE", type=_FILE, help="Write the plan as a comment for a pull request."),
        click.option("--json-into", metavar="FILE", type=_FILE, help="Write the plan as JSON, as terraform show -json does."),
    ):
        function = option(function)
    return function


def write_reports(planned: Planned, *, json_into: Path | None, markdown: Path | None, html: Path | None) -> None:
    """Write the files that were asked for. MlinfraError when one cannot be written."""
    if json_into is not None:
        _write(json_into, plan_document(planned))
    if markdown is not None:
        from mlinfra.cli.formats.markdown import plan_markdown

        _write(markdown, plan_markdown(planned.plan))
    if html is not None:
        from mlinfra.cli.formats.html import plan_html

        _write(html, plan_html(planned.plan))


def plan_document(planned: Planned) -> str:
    """The plan as Terraform's plan JSON, on one line as ``terraform show -json`` gives it: terraform-compliance reads no other."""
    from mlinfra.cli.formats.terraform_plan import Context, terraform_plan
    from mlinfra.cli.render_json import dumps

    stack = planned.stack
    context = Context(
        resources=stack.resources if stack is not None else {},
        state=planned.state if stack is not None else None,
        variables=planned.variables,
    )
    return dumps(terraform_plan(planned.plan, context), indent=None) + "\n"


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise MlinfraError.of("cli.unwritable", f"{file} cannot be written: {error.strerror}") from error
