"""What the site shows of the code: that it is complete, and what the build makes of a page."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from autosurrogate import surrogates, tasks
from autosurrogate.cli.parser import build_parser
from autosurrogate.export import reader, ready
from autosurrogate.registry import builtins
from autosurrogate.search import search_space

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
SITE = ROOT / "docs" / "_site"
#: Modules whose public names users import, with the names that are for this package alone.
PUBLIC = {
    "autosurrogate": set(),
    "autosurrogate.outputs": set(),
    "autosurrogate.registry": {"Level", "pickling"},
    "autosurrogate.surrogates": set(),
    "autosurrogate.testing": {"ConformanceError"},  # among the errors
}


def module(name: str) -> ModuleType:
    """A file of docs/_site, which is no package."""
    spec = importlib.util.spec_from_file_location(f"docs_site_{name}", SITE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


hooks = module("hooks")


def built(page: str) -> str:
    """A page of the reference as the site's build passes it on."""
    return str(hooks.on_page_markdown((REFERENCE / page).read_text(encoding="utf-8")))


def entries(folder: Path) -> set[str]:
    """What the pages of a folder have an entry for: `::: name`, or a heading with the name."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in folder.rglob("*.md"))
    return set(re.findall(r"^(?:::: |## `)(autosurrogate[\w.]*)", text, re.MULTILINE))


def missing(folder: Path) -> list[str]:
    """Public names without an entry in a folder of pages."""
    names = []
    for package, internal in PUBLIC.items():
        names += [f"{package}.{name}" for name in sorted({*importlib.import_module(package).__all__} - internal)]
    return [name for name in names if name not in entries(folder)]


def test_every_public_name_has_an_entry() -> None:
    assert missing(REFERENCE) == []
    assert "autosurrogate.errors" in entries(REFERENCE)  # which shows all of its classes


def test_a_name_without_an_entry_is_found(tmp_path: Path) -> None:
    for page in (REFERENCE / "python").glob("*.md"):
        text = page.read_text(encoding="utf-8").replace("::: autosurrogate.fit\n", "`autosurrogate.fit`\n")
        (tmp_path / page.name).write_text(text, encoding="utf-8")
    assert missing(tmp_path) == ["autosurrogate.fit"]


def test_entries_name_what_there_is() -> None:
    for name in entries(REFERENCE) - {"autosurrogate.errors"}:
        package, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(package), attribute), name


def test_every_page_asks_for_what_can_be_generated_and_nothing_is_left_over() -> None:
    asked = set()
    for page in (ROOT / "docs").rglob("*.md"):
        asked |= set(re.findall(r"<!-- generate: (\S+) -->", page.read_text(encoding="utf-8")))
    assert asked == set(module("generate").GENERATORS)


def test_every_argument_of_every_command_is_shown() -> None:
    page = built("command-line.md")
    (commands,) = (a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    for name, command in commands.choices.items():
        section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
        for action in command._actions:
            for option in action.option_strings or [action.metavar]:
                assert option in ("-h", "--help") or f"`{option}" in section, f"{name} {option}"


def test_every_metric_is_shown_with_its_parameters() -> None:
    page = built("metrics.md")
    for metric in builtins():
        assert f"| `{metric.name}` |" in page
    assert "`threshold=0.05`" in page


def test_every_key_of_a_search_space_is_shown() -> None:
    page = built("search-space.md")
    for setting in search_space.TRAINING:
        assert f"| `{setting}` |" in page
    for name in (name for name in tasks.names() if not tasks.get(name).networks):  # built-in ones
        for network, settings in search_space.load(tasks.get(name)).networks.items():
            (row,) = re.findall(rf"^\| {name} \| `{network}` \|.*$", page, re.MULTILINE)
            assert all(f"`{setting}`" in row for setting in settings)
        for network in surrogates.networks(tasks.get(name)):
            assert f"| {name} | `{network}` |" in page
    assert "| sequence with `--tokenizer` | `spelled` |" in page


def keys(value: Any) -> set[str]:
    """The keys of an object and of the objects in it, but for those of settings and counts by reason."""
    if isinstance(value, list):
        return set().union(*map(keys, value))
    if not isinstance(value, dict):
        return set()
    deeper = (keys(v) for k, v in value.items() if k not in ("settings", "dropped", "versions"))
    return {*value}.union(*deeper)


def test_every_key_of_a_loss_file_is_shown() -> None:
    page = built("metadata.md")
    found = keys(json.loads(reader.load(ready.path("f1"))[1].to_json()))
    assert {"quality", "suggested_weight", "spearman"} <= found
    assert [key for key in sorted(found) if f"| `{key}` |" not in page] == []


def test_the_files_of_a_run_are_shown() -> None:
    page = built("files.md")
    assert "| `budget_s` | float |" in page
    assert "| `gain_fraction` | float |" in page


def test_the_layers_are_those_of_the_import_contract() -> None:
    assert module("generate").layers().splitlines()[0] == "1. `cli`"


def test_what_cannot_be_generated_is_an_error() -> None:
    with pytest.raises(KeyError, match="metric_table"):
        hooks.expanded("<!-- generate: metric_table -->", {})


def test_examples_are_shown_without_what_only_the_tests_need() -> None:
    page = "a\n<!--\n>>> import x\n\n>>> y = 1\n-->\nb\n\n```python\n>>> y\n1\n\n```\n"
    assert hooks.on_page_markdown(page) == "a\nb\n\n```pycon\n>>> y\n1\n```\n"


def test_formulas_are_left_alone_in_code() -> None:
    pytest.importorskip("latex2mathml")
    assert hooks.with_formulas("`$x$` and 5 $ or 6 $\n```sh\necho $a $b\n```\n").count("<math") == 0
    assert hooks.with_formulas("with $x_i$ and\n\n$$ y\n + z $$\n").count("<math") == 2
