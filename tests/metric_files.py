"""Files with metrics, as users write them, for tests of the registry."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

HEAD = "from autosurrogate import metric\n"
GLEU = """
@metric("glue", task="sequence", level="sample", view="tokens")
def sentence_glue(preds: list, target: list) -> float:
    return len(set(preds) & set(target)) / max(len(preds), len(target))
"""
LENGTH = """
@metric("length", task="sequence", level="sample", higher_is_better=False)
def length(preds: str, target: str) -> float:
    return abs(len(preds) - len(target))
"""
PLAIN = """
def plain(preds, target):
    return 1.0
"""
METRIC = """
from autosurrogate import metric

@metric({name!r}, task="sequence", level="sample")
def {function}(preds: str, target: str) -> float:
    return {value}
"""


def written(path: str | Path, *parts: str) -> Path:
    """A file that is written."""
    file = Path(path).resolve()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(parts))
    return file


def imported(folder: Path, name: str, text: str) -> ModuleType:
    """A module that is imported as usual."""
    written(folder / f"{name}.py", text)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    return importlib.import_module(name)


def run(code_or_file: str | Path, folder: str | Path = ".") -> str:
    """What another process prints."""
    command = [str(code_or_file)] if isinstance(code_or_file, Path) else ["-W", "error", "-c", code_or_file]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
