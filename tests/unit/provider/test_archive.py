"""What travels to a cloud's container."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mlinfra.provider.runs import archive


def test_what_travels_needs_nothing_that_stays_at_home(tmp_path: Path) -> None:
    for name, content in archive.checks().items():
        file = tmp_path / "mlinfra" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        for folder in file.relative_to(tmp_path).parents:
            if folder != Path():
                (tmp_path / folder / "__init__.py").touch()
        file.write_bytes(content)
    modules = ", ".join(f"mlinfra.{name.removesuffix('.py').replace('/', '.')}" for name in archive.checks())
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {modules}"
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
