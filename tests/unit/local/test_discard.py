"""Deletions at the same time share a trash folder, and none of them is forgotten in it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mlinfra_local.client import discard


def test_two_hundred_deletions_at_once_leave_nothing(tmp_path: Path) -> None:
    for number in range(5):
        area = tmp_path / str(number)
        doomed = [area / f"b{i}" for i in range(200)]
        for folder in doomed:
            folder.mkdir(parents=True)
            (folder / "file").write_text("x")
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda folder, trash=area / ".trash": discard(folder, trash), doomed))
        assert list(area.iterdir()) == []


def test_what_is_gone_already_and_what_is_a_file_go_as_well(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    discard(tmp_path / "file")
    discard(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []
