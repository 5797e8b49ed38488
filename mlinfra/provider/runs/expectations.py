"""Checks what a step or job promised against what it wrote: metrics, and tables in CSV, TSV, JSON lines or Parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlinfra.kinds.expectations import Expectation, parse_expectation

if TYPE_CHECKING:
    import pandas

_READERS = {
    ".csv": "read_csv",
    ".tsv": "read_csv",
    ".jsonl": "read_json",
    ".ndjson": "read_json",
    ".parquet": "read_parquet",
}
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")


def broken(expected: Mapping[str, Any], metrics: Mapping[str, Any], places: Sequence[Path]) -> list[str]:
    """A sentence for every expectation that does not hold, with what was expected and found; empty when all hold.

    Metrics come first; then the first of ``places`` (files or folders) that holds a table.
    """
    problems: list[str] = []
    table: pandas.DataFrame | str | None = None
    for name, condition in expected.items():
        try:
            expectation = parse_expectation(name, condition)
        except ValueError as error:
            problems.append(str(error))
            continue
        metric = expectation.text if expectation.needs_table else expectation.argument
        if metric in metrics:
            found: Any = metrics[metric]
        elif expectation.needs_table:
            table = _table(places) if table is None else table
            found = table if isinstance(table, str) else _measure(expectation, table)
        else:
            found = f"no metric of that name{_among(list(metrics))}"
        if not expectation.holds(found):
            problems.append(f"expected {expectation.text} {expectation.condition}, found {_shown(found)}")
    return problems


def _measure(expectation: Expectation, table: pandas.DataFrame) -> Any:
    """The value, or a sentence when there is none: a sentence meets no comparison with a number."""
    names = [str(c) for c in table.columns]
    if expectation.function == "rows":
        return len(table)
    if expectation.function == "columns":
        return names if expectation.columns else len(names)
    if expectation.argument not in names:
        return f"no column {expectation.argument!r}{_among(names)}"
    column = table.iloc[:, names.index(expectation.argument)]
    if expectation.function == "null_rate":
        return float(column.isna().mean()) if len(column) else 0.0
    if expectation.function == "unique":
        if isinstance(expectation.wanted, bool):
            return bool(column.is_unique)
        return int(column.nunique())
    if not len(column.dropna()):
        return "no value at all in that column"
    try:
        value = getattr(column, expectation.function)()
    except TypeError:
        return f"a column of text, which has no {expectation.function}"
    return value.item() if hasattr(value, "item") else value


def _table(places: Sequence[Path]) -> pandas.DataFrame | str:
    """The first place's tables, one below the other; a sentence when there is none to be had."""
    for place in places:
        files = [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file())
        tables = [(file, reader) for file in files if (reader := _READERS.get(_suffix(file)))]
        if tables:
            return _read(tables)
    return "no table (a .csv, .tsv, .jsonl or .parquet file) in the step's outputs, or the inputs of a step without any"


def _read(files: list[tuple[Path, str]]) -> pandas.DataFrame | str:
    import pandas

    parts = []
    for file, reader in files:
        options: dict[str, Any] = {}
        if reader == "read_json":
            options = {"lines": True}
        elif _suffix(file) == ".tsv":
            options = {"sep": "\t"}
        try:
            parts.append(getattr(pandas, reader)(file, **options))
        except ImportError as error:
            return f"{file.name}, which cannot be read here: {error}"
        except pandas.errors.EmptyDataError:
            parts.append(pandas.DataFrame())
        except (ValueError, OSError) as error:
            return f"{file.name}, which cannot be read: {error}"
    return parts[0] if len(parts) == 1 else pandas.concat(parts, ignore_index=True)


def _suffix(file: Path) -> str:
    return (Path(file.stem).suffix if file.suffix in _COMPRESSED else file.suffix).lower()


def _among(names: list[str]) -> str:
    return f" (there are {', '.join(names[:12])}{', …' if len(names) > 12 else ''})" if names else ""


def _shown(found: Any) -> str:
    if isinstance(found, float):
        return f"{found:.6g}"
    return ", ".join(found) if isinstance(found, list) else str(found)
