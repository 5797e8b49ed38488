"""``mlinfra ci``: the pipeline files of a Git host."""

from __future__ import annotations

from pathlib import Path

import click

from mlinfra.cli.delivery.pipelines import PIPELINES, Pipeline, render
from mlinfra.cli.session import Session, common
from mlinfra.model.errors import MlinfraError


@click.command("ci")
@common
@click.argument("host", type=click.Choice(sorted(PIPELINES)))
@click.option("--cloud", type=click.Choice(["aws", "gcp", "azure"]), help="Sign in to this cloud by OIDC, with no stored key.")
@click.option("--branch", default="main", show_default=True, help="Whose merges are applied.")
@click.option("--print", "only_print", is_flag=True, help="Print the files instead of writing them.")
@click.option("--force", is_flag=True, help="Replace files that were changed by hand.")
def command(session: Session, host: str, cloud: str | None, branch: str, only_print: bool, force: bool) -> int:
    """Write the pipeline of HOST: a plan as a comment on every pull request, the very plan that was approved applied on merge,
    drift looked for every night.

    With --env the pipeline plans and applies that environment. The files go to the root of the Git repository; -C says where the
    spec is."""
    base = session.directory.resolve()
    base = base.parent if base.is_file() else base
    root = _root(base)
    pipeline = Pipeline(
        folder="" if base == root else base.relative_to(root).as_posix(),
        environment=session.environment,
        cloud=cloud or "",
        branch=branch,
    )
    files = render(host, pipeline)
    if only_print:
        session.line("\n".join(f"# --- {name}\n{text}" for name, text in files.items()).rstrip())
        return 0
    _refuse_changed(root, files, force=force)
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if session.json:
        return session.data({"written": list(files)})
    session.line("\n".join(f"Wrote {root / name}." for name in files))
    session.line(f"\n{PIPELINES[host].next_steps}")
    return 0


def _root(base: Path) -> Path:
    """The repository's root; the spec's folder itself where there is none."""
    return next((p for p in (base, *base.parents) if (p / ".git").exists()), base)


def _refuse_changed(root: Path, files: dict[str, str], *, force: bool) -> None:
    """Nobody's own pipeline is overwritten: a file of ours says in its first line that it is one."""
    for name, text in files.items():
        path = root / name
        if force or not path.exists():
            continue
        if path.read_text(encoding="utf-8", errors="replace").partition("\n")[0] != text.partition("\n")[0]:
            hint = "--print shows what would be written; --force replaces it"
            raise MlinfraError.of("cli.exists", f"{path} is there already and was not written by mlinfra ci", hint=hint)
