"""Hooks of MkDocs: pages as the repository shows them become pages of the site.

Tables that the code defines are generated: `<!-- generate: metrics -->` stands for what `GENERATORS` has under that
name. Comments that hold a doctest, which only the tests need, are left out. Formulas become MathML, which browsers
show without a script.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

COMMENT = re.compile(r"^<!--\n>>> .*?^-->\n", re.MULTILINE | re.DOTALL)
GENERATED = re.compile(r"^<!-- generate: (\S+) -->$", re.MULTILINE)
DOCTEST = re.compile(r"^```python\n(?=>>> )(.*?)\n*^```$", re.MULTILINE | re.DOTALL)
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^\s$](?:[^$]*[^\s$])?)\$", re.DOTALL)
CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """What MkDocs calls with the text of each page."""
    markdown = expanded(COMMENT.sub("", markdown), _generators())
    return with_formulas(DOCTEST.sub(r"```pycon\n\1\n```", markdown))


def expanded(markdown: str, generators: Mapping[str, Callable[[], str]]) -> str:
    """A page with what is generated in it.

    Raises:
        KeyError: it asks for what no generator makes.
    """
    return GENERATED.sub(lambda found: generators[found[1]](), markdown)


def with_formulas(markdown: str) -> str:
    """A page whose formulas in TeX, outside of code, are MathML."""
    parts = CODE.split(markdown)  # text and code in turn
    return "".join(part if i % 2 else FORMULA.sub(_formula, part) for i, part in enumerate(parts))


def _formula(found: re.Match[str]) -> str:
    from latex2mathml.converter import convert  # of the `docs` extra

    if found[1]:
        return f'<div class="formula">{convert(found[1], display="block")}</div>'
    return f"<span>{convert(found[2])}</span>"  # at the start of a line Markdown takes a <math> for a block


def _generators() -> Mapping[str, Callable[[], str]]:
    return _beside("generate").GENERATORS  # type: ignore[no-any-return]


def _beside(name: str) -> ModuleType:
    """A module of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(f"docs_site_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
