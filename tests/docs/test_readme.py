"""README.md says what is true: its links, its commands, its table of kinds. The plan that it shows: tests/live/test_quickstart.py."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlinfra.kinds import catalog
from mlinfra.provider.registry import Registry

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/README.md",
    "docs/providers.md",
    "docs/architecture.md",
    "docs/decisions/README.md",
]
LINK = re.compile(r"\[[^\]]+\]\(([^)#]+)\)")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    file = ROOT / page
    broken = [link for link in LINK.findall(file.read_text()) if "://" not in link and not (file.parent / link).exists()]
    assert broken == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_make_targets_exist(page: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake ([a-z-]+)\b", re.sub(r"(?m)^#.*", "", (ROOT / page).read_text())):
        assert re.search(rf"(?m)^{target}:", makefile), f"there is no make {target}"


def table() -> dict[str, dict[str, str]]:
    """README's table: kind → target → what it becomes there."""
    head, _, *rows = re.findall(r"^\|.*\|$", README.split("## What runs where")[1].split("\n## ")[0], re.MULTILINE)
    names, *found = [[cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in (head, *rows)]
    return {row[0]: dict(zip(names[1:], row[1:], strict=True)) for row in found}


def test_the_table_lists_every_kind_and_says_of_every_target_whether_it_makes_it() -> None:
    registry = Registry()
    assert list(table()) == [kind for kind in catalog.NAMES if any(registry.lowering(p.name, kind) for p in registry)]
    for kind, cells in table().items():
        made = {target for target in cells if registry.lowering(target, kind) is not None}
        assert {target for target, cell in cells.items() if cell != "–"} == made, kind


@pytest.mark.parametrize("kind", ["data_pipeline", "training_cluster", "model_registry", "endpoint", "vector_database"])
def test_what_mlinfra_is_for_links_to_a_test_on_every_target(kind: str) -> None:
    """A file of tests that uses the kind on that target: by its name, or by the quickstart, which has them all."""
    for target, cell in table()[kind].items():
        link = LINK.findall(cell)[0]
        text = (ROOT / link).read_text()
        assert link.startswith("tests/live/") and "def test_" in text, link
        assert kind in text or "quickstart" in text.lower(), f"{link} tells nothing of {kind} on {target}"
        assert target == "local" or f"/{target}/" in link, link


def test_every_target_is_in_the_table() -> None:
    assert {*next(iter(table().values()))} == {*Registry().names()} - {"milvus"}


def test_the_distribution_is_never_called_by_the_name_that_is_taken() -> None:
    for file in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]:
        assert not re.search(r"pip install ['\"]?mlinfra(?!-iac)\b", file.read_text()), file
