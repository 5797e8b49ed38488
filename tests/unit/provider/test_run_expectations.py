"""Expectations against real tables and metrics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas
import pytest

from mlinfra.provider.runs.expectations import broken

ROWS = [{"id": 1, "label": "a", "x": 0.5}, {"id": 2, "label": None, "x": 1.5}, {"id": 3, "label": "a", "x": None}]


@pytest.fixture(params=["csv", "tsv", "jsonl", "parquet", "csv.gz"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    table, file = pandas.DataFrame(ROWS), tmp_path / f"table.{request.param}"
    if request.param == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    elif request.param == "parquet":
        table.to_parquet(file)
    else:
        table.to_csv(file, index=False, sep="\t" if request.param == "tsv" else ",")
    (tmp_path / "metrics.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "good", "bad", "found"),
    [
        ("rows", ">= 3", "> 1,000", "3"),
        ("columns", "== 3", "!= 3", "3"),
        ("columns", ("id", "x"), ("id", "y"), "id, label, x"),
        ("null_rate(label)", "< 34%", "< 0.01", "0.333333"),
        ("min(id)", 1, 2, "1"),
        ("max(x)", "<= 1.5", "< 1.5", "1.5"),
        ("mean(x)", "== 1", "> 1", "1"),
        ("unique(label)", "== 1", "> 1", "1"),
        ("unique(id)", True, False, "True"),
        ("max(label)", "== a", "> 3", None),
    ],
)
def test_a_table_is_measured(place: Path, name: str, good: Any, bad: Any, found: str | None) -> None:
    if found is not None:
        assert broken({name: good}, {}, [place]) == []
    (problem,) = broken({name: bad}, {}, [place])
    assert problem.startswith(f"expected {name} ")
    if found is not None:
        assert problem.endswith(f", found {found}")


def test_a_column_that_is_not_there_is_named_with_those_that_are(place: Path) -> None:
    (problem,) = broken({"null_rate(labell)": "< 1"}, {}, [place])
    assert problem == "expected null_rate(labell) < 1, found no column 'labell' (there are id, label, x)"


def test_metrics_come_first_and_a_missing_one_is_said() -> None:
    metrics = {"accuracy": 0.93, "rows": 12, "loss": None}
    expected = {"accuracy": ">= 0.9", "rows": "== 12", "loss": "< 1", "f1": "> 0"}
    assert broken(expected, metrics, []) == [
        "expected loss < 1, found None",
        "expected f1 > 0, found no metric of that name (there are accuracy, rows, loss)",
    ]


def test_tables_in_parts_are_one_table(tmp_path: Path) -> None:
    for part in range(3):
        pandas.DataFrame({"id": range(part * 10, part * 10 + 10)}).to_csv(tmp_path / f"part-{part}.csv", index=False)
    assert broken({"rows": 30, "unique(id)": True, "max(id)": 29}, {}, [tmp_path]) == []


def test_no_table_and_unreadable_ones_are_problems_not_crashes(tmp_path: Path) -> None:
    (nothing,) = broken({"rows": "> 0"}, {}, [tmp_path])
    assert "found no table" in nothing
    (tmp_path / "bad.parquet").write_text("no parquet")
    (unreadable,) = broken({"rows": "> 0"}, {}, [tmp_path])
    assert "bad.parquet, which cannot be read" in unreadable
    (tmp_path / "bad.parquet").unlink()
    (tmp_path / "empty.csv").write_text("")
    assert broken({"rows": "> 0"}, {}, [tmp_path]) == ["expected rows > 0, found 0"]
