"""What a user sees of the package's names."""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import autosurrogate

ROOT = Path(autosurrogate.__file__).parent
PACKAGES = sorted(
    ".".join(("autosurrogate", *file.relative_to(ROOT).parts[:-1]))
    for file in ROOT.rglob("__init__.py")
    if not any(part.startswith("_") for part in file.relative_to(ROOT).parts[:-1])
)
PUBLIC = {
    "Examples", "FitResult", "Report", "Task", "__version__", "check", "evaluate", "fit", "load", "metric", "resume",
}  # fmt: skip


def names_of_two_things(package: ModuleType) -> list[str]:
    """Names of a package that are both a module in it and something else, depending on what was imported before."""
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    public = {name for name in (*dir(package), *getattr(package, "__all__", ())) if not name.startswith("_")}
    return sorted(name for name in modules & public if not isinstance(getattr(package, name), ModuleType))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_name_is_both_a_module_and_something_else(package: str) -> None:
    assert names_of_two_things(importlib.import_module(package)) == []


def test_the_check_finds_a_name_that_is_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ambiguous").mkdir()
    (tmp_path / "ambiguous" / "__init__.py").write_text("from ambiguous.metric import metric\n")
    (tmp_path / "ambiguous" / "metric.py").write_text("def metric(): ...\n")
    (tmp_path / "ambiguous" / "other.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert names_of_two_things(importlib.import_module("ambiguous")) == ["metric"]


@pytest.mark.parametrize("name", sorted(PUBLIC - {"__version__"}))
def test_a_public_name_is_no_module(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import autosurrogate.{name}"], capture_output=True, text=True, check=False
    )
    assert f"ModuleNotFoundError: No module named 'autosurrogate.{name}'" in done.stderr


def test_dir_is_the_public_names() -> None:
    assert set(dir(autosurrogate)) == set(autosurrogate.__all__) == PUBLIC
    assert all(getattr(autosurrogate, name) is not None for name in PUBLIC)


def test_the_version_is_that_of_the_installed_package() -> None:
    assert autosurrogate.__version__ == importlib.metadata.version("autosurrogate")
