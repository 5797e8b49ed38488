from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlinfra.model.own_files import DEBUG_LOG, PLAN_MARK
from mlinfra.model.plan import Plan
from mlinfra.plan.file import PlanFile, write_plan
from mlinfra.provider.files import digest, select
from mlinfra.state.session import Location
from mlinfra.state.stores.local import LocalStore


def write(base: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(text)
    return base


def names(base: Path, path: str = ".", mode: str = "code", excluded: tuple[str, ...] = ()) -> list[str]:
    return [f.name for f in select(base, path, mode, excluded)]  # type: ignore[arg-type]


def test_data_takes_every_byte_hidden_and_ignored_files_included(tmp_path: Path) -> None:
    write(tmp_path, {"d/a.csv": "1", "d/.hidden/b": "2", "d/.gitignore": "*.csv", "d/__pycache__/c.pyc": "3"})
    assert names(tmp_path, "d", "data") == [".gitignore", ".hidden/b", "__pycache__/c.pyc", "a.csv"]


def test_code_leaves_out_hidden_folders_caches_and_environments(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "", ".git/x": "", "__pycache__/a.pyc": "", ".venv/lib/x.py": "", "m.egg-info/x": "", "p/b.py": ""})
    assert names(tmp_path) == ["a.py", "p/b.py"]


def test_code_leaves_out_excluded_files_and_folders_relative_to_the_base(tmp_path: Path) -> None:
    write(tmp_path, {"mlinfra.yaml": "", "data/t.csv": "", "src/a.py": "", "src/data/u.csv": ""})
    assert names(tmp_path, excluded=("mlinfra.yaml", "data")) == ["src/a.py", "src/data/u.csv"]
    assert names(tmp_path, "src", excluded=("src/data",)) == ["a.py"]


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("*.log", ["a.txt", "sub/b.txt", "sub/deep/c.txt"]),
        ("/sub", ["a.log", "a.txt"]),
        ("sub/", ["a.log", "a.txt"]),
        ("deep/", ["a.log", "a.txt", "sub/b.log", "sub/b.txt"]),
        ("a.txt/", ["a.log", "a.txt", "sub/b.log", "sub/b.txt", "sub/deep/c.txt"]),
        ("sub/*.txt", ["a.log", "a.txt", "sub/b.log", "sub/deep/c.txt"]),
        ("sub/**/c.txt", ["a.log", "a.txt", "sub/b.log", "sub/b.txt"]),
        ("**/*.txt", ["a.log", "sub/b.log"]),
        ("sub/**", ["a.log", "a.txt"]),
        ("?.log", ["a.txt", "sub/b.txt", "sub/deep/c.txt"]),
        ("[!a].*", ["a.log", "a.txt"]),
        ("# sub\n\n*.txt\n!b.txt", ["a.log", "sub/b.log", "sub/b.txt"]),
    ],
)
def test_ignore_files_mean_what_they_mean_to_git(tmp_path: Path, line: str, left: list[str]) -> None:
    write(tmp_path, {"a.txt": "", "a.log": "", "sub/b.txt": "", "sub/b.log": "", "sub/deep/c.txt": "", ".gitignore": line})
    assert names(tmp_path) == left


def test_ignore_files_of_inner_folders_and_of_mlinfra_count_too(tmp_path: Path) -> None:
    write(tmp_path, {".gitignore": "*.tmp", "x/.mlinfraignore": "!keep.tmp\nno.py", "x/keep.tmp": "", "x/no.py": "", "y.tmp": ""})
    assert names(tmp_path) == ["x/keep.tmp"]


def test_ignore_file_of_the_base_holds_for_a_subfolder(tmp_path: Path) -> None:
    write(tmp_path, {".gitignore": "/src/out\n*.bin", "src/a.py": "", "src/out/b": "", "src/c.bin": ""})
    assert names(tmp_path, "src") == ["a.py"]


def test_digest_depends_on_names_and_bytes_and_on_nothing_else(tmp_path: Path) -> None:
    one = write(tmp_path / "one", {"d/a": "x", "d/b": "y"})
    two = write(tmp_path / "two", {"d/b": "y", "d/a": "x"})
    assert digest(one, "d") == digest(two, "d")
    assert (digest(one, "d").size, digest(one, "d").files) == (2, 2)
    changed = write(tmp_path / "three", {"d/a": "x", "d/b": "z"})
    renamed = write(tmp_path / "four", {"d/a": "x", "d/c": "y"})
    assert len({digest(base, "d").digest for base in (one, changed, renamed)}) == 3


def test_own_data_folder_never_counts(tmp_path: Path) -> None:
    write(tmp_path, {"a": "x", ".mlinfra/state.json": "1"})
    assert names(tmp_path, ".", "data") == ["a"]


def test_links_to_folders_are_followed_but_not_in_a_circle(tmp_path: Path) -> None:
    write(tmp_path, {"d/a": "x", "other/b": "y"})
    (tmp_path / "d/loop").symlink_to(tmp_path / "d")
    (tmp_path / "d/other").symlink_to(tmp_path / "other")
    assert names(tmp_path, "d", "data") == ["a", "other/b"]


def test_missing_path_and_link_to_nothing_are_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        select(tmp_path, "nothing")
    write(tmp_path, {"d/a": "x"})
    (tmp_path / "d/gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="points to nothing"):
        select(tmp_path, "d", "data")
    assert names(tmp_path, "d", "code") == ["a"]


def test_code_leaves_out_saved_plans_and_the_debug_log_wherever_they_lie(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "", DEBUG_LOG: "x", "plan.json": f'{{"document": "{PLAN_MARK}"}}'})
    write_plan(tmp_path / "tfplan", PlanFile(plan=Plan()), Location(LocalStore(tmp_path / ".state"), "p/").sealer(create=True))
    assert names(tmp_path) == ["a.py"]
    assert {DEBUG_LOG, "plan.json", "tfplan"} <= set(names(tmp_path, mode="data"))


def test_code_leaves_out_the_file_that_our_own_output_goes_to(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": ""})
    program = "from pathlib import Path; from mlinfra.provider.files import select; print([f.name for f in select(Path(), '.', 'code')])"
    with (tmp_path / "out.txt").open("w") as out:
        subprocess.run([sys.executable, "-c", program], cwd=tmp_path, stdout=out, check=True)
    assert (tmp_path / "out.txt").read_text() == "['a.py']\n"
