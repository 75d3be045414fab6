"""What the doctests of README.md and docs/ cannot check: command lines, files, links."""

from __future__ import annotations

import itertools
import re
import shlex
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from autosurrogate import tasks
from autosurrogate.cli.parser import build_parser
from autosurrogate.errors import MetricError
from autosurrogate.registry.lookup import find
from autosurrogate.registry.store import builtins
from autosurrogate.search import search_space

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PINNED = re.compile(r"^([\w.-]+)==\S+$", re.MULTILINE)


def blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in FENCE.findall(page.read_text(encoding="utf-8")) if found == language]


def command_lines(page: Path) -> list[tuple[list[str], bool]]:
    """Every `autosurrogate …` of the page's shell blocks, in order, without the name of the program.

    With each, whether what is printed below says that it was wrong input.
    """
    found = []
    fences = [*FENCE.findall(page.read_text(encoding="utf-8")), ("", "")]
    for (language, text), (_, below) in itertools.pairwise(fences):
        parts = [part.strip() for line in text.splitlines() for part in line.split("&&") if language == "sh"]
        refused = below.endswith("(exit code 2)\n")
        found += [(shlex.split(part)[1:], refused) for part in parts if part.startswith("autosurrogate ")]
    return found


def files(page: Path) -> dict[str, str]:
    """The files whose text stands in the page, under a first line that names them."""
    found: dict[str, str] = {}
    for text in [*blocks(page, "python"), *blocks(page, "toml")]:
        name = re.match(r"# (\S+\.(?:py|toml))\n", text)
        if name is not None:
            found[name[1]] = text
    return found


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


pages = pytest.mark.parametrize("page", PAGES, ids=page_id)


@pages
def test_every_command_line_parses_and_its_files_are_there(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in files(page).items():
        Path(name).write_text(text, encoding="utf-8")
    text = page.read_text(encoding="utf-8")
    made = set(re.findall(r'Recorder\("([^"]+)"', text)) | set(re.findall(r'jit\.load\("([^"]+)"', text))
    for arguments, refused in command_lines(page):
        options = vars(build_parser().parse_args(arguments))
        needed = [*(options.get("outputs") or []), *filter(None, [options.get("loss")])]
        assert set(needed) <= made, f"{arguments}: {needed} are not made on the page"
        if options.get("resume"):
            assert options["resume"] in made or options["resume"].startswith("runs/bleu-")
        if not options.get("metric"):
            continue
        given = options["metric"]
        if refused:
            with pytest.raises(MetricError):
                find(given if isinstance(given, str) else given[0])
            continue
        metrics = [find(spec) for spec in ([given] if isinstance(given, str) else given)]
        if options.get("space"):
            search_space.load(tasks.get(metrics[0].task), options["space"])
        name = re.sub(r"[^\w.-]+", "-", "+".join(metric.name for metric in metrics))
        made |= {options.get("out") or f"{name}.pt", options.get("run_dir")}


@pages
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


@pages
def test_every_python_example_is_run(page: Path) -> None:
    for text in blocks(page, "python"):
        assert text.startswith((">>> ", "# ")), f"neither a doctest nor a file: {text}"


def test_the_two_command_lines_of_the_readme() -> None:
    shell = "".join(blocks(ROOT / "README.md", "sh"))
    assert "pip install -c constraints.txt . && autosurrogate fit --metric bleu\n" in shell
    assert "pip install -c constraints.txt '.[test]' && pytest\n" in shell


def test_every_built_in_metric_is_in_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for metric in builtins():
        assert f"`{metric.name}`" in changelog


def test_every_package_is_in_the_list_of_the_architecture() -> None:
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    for path in (ROOT / "autosurrogate").iterdir():
        if path.suffix == ".py" and not path.name.startswith("__"):
            assert f"| `autosurrogate/{path.name}` |" in page
        if path.is_dir() and path.name != "__pycache__":
            assert f"| `autosurrogate/{path.name}/` |" in page


def test_all_that_is_installed_is_pinned() -> None:
    pinned = PINNED.findall((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    assert pinned == sorted(pinned, key=str.lower)
    names, seen, wanted = {canonicalize_name(name) for name in pinned}, set(), ["autosurrogate[test]"]
    while wanted:
        requirement = Requirement(wanted.pop())
        if (name := requirement.name) in seen:
            continue
        seen.add(name)
        assert name == "autosurrogate" or canonicalize_name(name) in names
        environments = [{"extra": extra} for extra in requirement.extras or [""]]
        needed = [Requirement(text) for text in requires(name) or []]
        wanted += [str(r) for r in needed if r.marker is None or any(map(r.marker.evaluate, environments))]
    assert {"torch", "sympy", "ruff"} <= seen


def test_the_check_of_command_lines_can_fail() -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["fit", "--metrik", "bleu"])
