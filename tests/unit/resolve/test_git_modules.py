"""Modules from real git repositories: pinned at first use, found again without the repository, never moved silently."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from unit.resolve.resolving import component, inputs_of, problem, resolved, under_caret

from mlinfra.model.errors import SpecError
from mlinfra.provider.files import select
from mlinfra.resolve import Inputs, examine, resolve
from mlinfra.resolve.files import excluded_paths, read_digests
from mlinfra.resolve.git_modules import LOCK
from mlinfra.spec.loader import load

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

MODULE = "variables: {x: {default: 1}}\nresources: {r: {kind: data, input: 'one ${vars.x}'}}\noutputs: {out: '${r.output}'}\n"


class Repository:
    """A git repository in a folder, that nobody's own settings reach."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *words: str) -> str:
        known = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        who = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        for role in ("AUTHOR", "COMMITTER"):
            who |= {f"GIT_{role}_NAME": "t", f"GIT_{role}_EMAIL": "t@example.com"}
        done = subprocess.run(
            ["git", *words], cwd=self.folder, env={**known, **who}, check=True, capture_output=True, text=True, timeout=60
        )
        return done.stdout.strip()

    def commit(self, tag: str = "", **files: str) -> str:
        """The id of a commit with these files (``rag__mlinfra``: ``rag/mlinfra.yaml``)."""
        for name, text in files.items():
            path = self.folder / f"{name.replace('__', '/')}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        if tag:
            self.git("tag", "-f", "-a", tag, "-m", tag)
        return self.git("rev-parse", "HEAD")

    def call(self, path: str = "//rag", ref: str = "v1", name: str = "m", more: str = "") -> str:
        source = f"git::file://{self.folder}{path}" + (f"?ref={ref}" if ref else "")
        return f"modules:\n  {name}: {{source: '{source}'{more}}}\n"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "repository")
    made.commit("v1", rag__mlinfra=MODULE)
    return made


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    return tmp_path / "stack"


def pins(stack: Path) -> list[str]:
    return list(json.loads((stack / LOCK).read_text())["modules"].values())


def again(stack: Path) -> object:
    return inputs_of(resolve(load(stack), Inputs()))


def test_a_tag_is_pinned_to_its_commit_and_needs_the_repository_no_more(repository: Repository, stack: Path) -> None:
    text = repository.call(more=", with: {x: 2}") + "outputs: {o: '${module.m.out}'}\n"
    assert inputs_of(resolved(stack, text)) == {"module.m.r": "one 2"}
    assert pins(stack) == [repository.git("rev-parse", "v1^{commit}")]
    assert (stack / ".mlinfra/.gitignore").read_text() == "*\n" and not list(stack.rglob(".git"))
    shutil.rmtree(repository.folder)
    assert again(stack) == {"module.m.r": "one 2"}


def test_a_fresh_checkout_of_the_stack_gets_the_pinned_commit(repository: Repository, stack: Path) -> None:
    resolved(stack, repository.call(ref="main"))
    pinned = pins(stack)
    repository.commit(rag__mlinfra=MODULE.replace("one", "two"))
    shutil.rmtree(stack / ".mlinfra")
    assert again(stack) == {"module.m.r": "one 1"} and pins(stack) == pinned
    (stack / LOCK).unlink()
    assert again(stack) == {"module.m.r": "two 1"} and pins(stack) != pinned


def test_a_moved_tag_is_refused_until_somebody_accepts_it(repository: Repository, stack: Path) -> None:
    text = repository.call()
    resolved(stack, text)
    (first,) = pins(stack)
    moved = repository.commit("v1", rag__mlinfra=MODULE.replace("one", "evil"))
    assert again(stack) == {"module.m.r": "one 1"}, "what is pinned and here goes on to work"
    shutil.rmtree(stack / ".mlinfra")
    found = problem(stack, text)
    assert found.code == "module.tag_moved" and first[:12] in found.message and moved[:12] in found.message
    assert LOCK in found.hint and under_caret(stack, found).startswith("'git::")
    assert pins(stack) == [first]
    (stack / LOCK).write_text(json.dumps({"version": 1, "modules": {}}))
    assert again(stack) == {"module.m.r": "evil 1"} and pins(stack) == [moved]


def test_another_ref_gives_another_version_at_the_same_paths(repository: Repository, stack: Path) -> None:
    found = resolved(stack, repository.call())
    second = repository.commit("v2", rag__mlinfra=MODULE.replace("one", "two"))
    after = resolved(stack, repository.call(ref="v2"))
    assert inputs_of(after) == {"module.m.r": "two 1"} and found.spec_files == after.spec_files
    assert inputs_of(resolved(stack, repository.call(ref=second))) == {"module.m.r": "two 1"}
    assert inputs_of(resolved(stack, repository.call(ref=""))) == {"module.m.r": "two 1"}


def test_two_modules_of_one_repository_and_one_inside_the_other(repository: Repository, stack: Path) -> None:
    nested = "modules: {deep: {source: ../rag}}\nresources: {o: {kind: data, input: '${module.deep.out}'}}\n"
    repository.commit("v3", outer__mlinfra=nested)
    text = repository.call("//outer", "v3", "a") + repository.call("//rag", "v3", "b").removeprefix("modules:\n")
    assert sorted(inputs_of(resolved(stack, text))) == ["module.a.module.deep.r", "module.a.o", "module.b.r"]
    assert len(pins(stack)) == 1


def test_a_modules_files_count_though_git_ignores_the_folder_that_they_are_kept_in(repository: Repository, stack: Path) -> None:
    files = "resources:\n  b: {kind: bucket}\n  d: {kind: dataset, bucket: '${b}', source: t.csv}\n"
    (repository.folder / "rag").mkdir(exist_ok=True)
    (repository.folder / "rag/t.csv").write_text("a,b")
    (repository.folder / "rag/code.py").write_text("1")
    repository.commit("v4", rag__mlinfra=files)
    found = resolved(stack, repository.call(ref="v4"))
    source = component(found, "module.m.d").properties["source"]
    assert source == ".mlinfra/modules/m/rag/t.csv" and read_digests(found)[(source, "data")].size == 3
    code = select(stack, ".mlinfra/modules/m/rag", "code", excluded_paths(found))
    assert [f.name for f in code] == ["code.py"]
    assert LOCK in excluded_paths(found)


def test_a_spec_is_resolved_elsewhere_from_its_texts_alone(repository: Repository, stack: Path, tmp_path: Path) -> None:
    """As a saved plan and the history do it."""
    found = resolved(stack, repository.call())
    shutil.rmtree(repository.folder)
    elsewhere = tmp_path / "elsewhere"
    for name in found.spec_files:
        (elsewhere / name).parent.mkdir(parents=True, exist_ok=True)
        (elsewhere / name).write_text(found.files[name])
    assert again(elsewhere) == {"module.m.r": "one 1"}


@pytest.mark.parametrize(
    ("path", "ref", "code", "said"),
    [
        ("//rag", "v9", "module.no_ref", "there is no tag or branch 'v9'"),
        ("//rga", "v1", "module.no_folder", "there is no folder 'rga'"),
        ("-gone//rag", "v1", "module.unreachable", "cannot be fetched"),
        ("//rag", "f" * 40, "module.no_commit", "which is not in the repository"),
    ],
)
def test_what_is_not_there_is_said_and_pins_nothing(
    repository: Repository, stack: Path, path: str, ref: str, code: str, said: str
) -> None:
    found = problem(stack, repository.call(path, ref))
    assert found.code == code and said in found.message and found.span is not None
    assert not (stack / LOCK).exists() or code == "module.no_folder"
    assert not list((stack / ".mlinfra/modules").glob(".fetch-*")) if (stack / ".mlinfra/modules").exists() else True


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"version": 1, "modules": {"a": "b"}}', '{"version": 2, "modules": {}}', "<<<<<<< ours"]
)
def test_a_broken_lock_is_refused_untouched(repository: Repository, stack: Path, text: str) -> None:
    resolved(stack, repository.call())
    (stack / LOCK).write_text(text)
    _, found = examine(load(stack), Inputs())
    assert [p.code for p in found] == ["module.newer_lock" if "2" in text else "module.broken_lock"]
    assert (stack / LOCK).read_text() == text


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("git::ext::sh -c id", "no address"),
        ("git::ext::sh%20-c%20id", "no address"),
        ("git::--upload-pack=id//x", "no address"),
        ("git::", "no address"),
        ("git::https://me:hunter2@host/x.git//rag?ref=v1", "no place for credentials"),
        ("git::https://host/x.git//../../etc?ref=v1", "must lie in the repository"),
        ("git::https://host/x.git?ref=--exec=id", "is no tag, branch or commit"),
        ("git::https://host/x.git?depth=1", "takes ref, not 'depth'"),
        ("https://host/x.zip", "from a local folder or from git"),
    ],
)
def test_a_source_that_is_not_to_be_fetched_is_refused_before_anything_runs(stack: Path, source: str, said: str) -> None:
    stack.mkdir()
    (stack / "mlinfra.yaml").write_text(f"version: 1\nproject: demo\nmodules: {{m: {{source: '{source}'}}}}\n")
    with pytest.raises(SpecError, match=said) as error:
        load(stack)
    assert "hunter2" not in str(error.value)


def test_a_folder_that_leads_out_of_its_repository_is_not_entered(repository: Repository, stack: Path) -> None:
    (repository.folder / "out").symlink_to("/etc")
    repository.commit("v5")
    assert problem(stack, repository.call("//out", "v5")).code == "module.no_folder"
