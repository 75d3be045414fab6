"""What pages of the reference show of the code: the command line, built-in metrics, tasks, networks, metadata, ..."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
import tomllib
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from autosurrogate import errors, surrogates, tasks
from autosurrogate.cli.parser import build_parser
from autosurrogate.export.metadata import SCHEMA_VERSION, LossMetadata
from autosurrogate.registry import builtins, parameters
from autosurrogate.run import budget
from autosurrogate.run.options import Options
from autosurrogate.search import search_space
from autosurrogate.search.trial_record import SCHEMA_VERSION as TRIAL_SCHEMA_VERSION
from autosurrogate.search.trial_record import VERSION_KEY, TrialRecord
from autosurrogate.surrogates import sequence
from autosurrogate.training.loop import Settings

ROOT = Path(__file__).parents[2]
SENTENCE = re.compile(r"(.*?(?<!\beq)(?<!\bal)\.)(?:\s|$)", re.DOTALL)  # but for eq. and et al.


def commands() -> str:
    """Each command with its usage and its arguments."""
    parser = build_parser()
    (subparsers,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    summaries = {action.dest: action.help or "" for action in subparsers._choices_actions}
    sections = []
    for name, command in subparsers.choices.items():
        usage = " ".join(command.format_usage().split()).removeprefix("usage: ")
        rows = [(_invocation(action), _help(command, action)) for action in _shown(command)]
        section = f"## {name}\n\n{_sentence(summaries[name])}\n\n```text\n{_wrapped(usage)}\n```\n"
        sections.append(section + ("\n" + table(("argument", "description"), rows) if rows else ""))
    return "\n".join(sections)


def global_options() -> str:
    """The options of the program itself."""
    parser = build_parser()
    shown = [action for action in parser._actions if action.option_strings]
    return table(("option", "description"), [(_invocation(action), _help(parser, action)) for action in shown])


def exit_codes() -> str:
    """What each exit code means."""
    by_code: dict[int, list[str]] = {}
    for name, error in vars(errors).items():
        if isinstance(error, type) and issubclass(error, errors.AutosurrogateError):
            by_code.setdefault(error.exit_code, []).append(f"`{name}`")
    names = {code: ", ".join(sorted(found)) for code, found in by_code.items()}
    return table(
        ("code", "meaning", "error in Python"),
        [
            ("0", "done", ""),
            ("2", "wrong input, or a fit that cannot go on", names[2]),
            ("3", "refused for quality: nothing is written", names[3]),
            ("130", "interrupted", "`KeyboardInterrupt`"),
        ],
    )


def metrics() -> str:
    """The built-in metrics, a table for each task."""
    sections = []
    for task in sorted({metric.task for metric in builtins()}):
        rows = []
        for metric in builtins():
            if metric.task == task:
                settable = [f"`{name}={value}`" for name, value in parameters.defaults(metric).items()]
                rows.append(
                    (
                        f"`{metric.name}`",
                        _summary(metric.function),
                        "one example" if metric.level == "sample" else f"a set of {metric.set_size}",
                        f'`"{metric.view or next(iter(tasks.get(task).views))}"`',
                        "higher" if metric.higher_is_better else "lower",
                        ", ".join(settable),
                        metric.source,
                    )
                )
        heading = ("metric", "value", "of", "view", "better", "parameters", "computed by")
        sections.append(f"## {task}\n\n{table(heading, rows)}")
    return "\n".join(sections)


def views() -> str:
    """What a metric is called with, by task, view and level."""
    rows = []
    for name in _task_names():
        for view, levels in tasks.get(name).views.items():
            cells = [" and ".join(map(_kind, levels[level])) if level in levels else "" for level in ("sample", "set")]
            rows.append((name, f'`"{view}"`', *(cell.replace("object", "dict") for cell in cells)))
    return table(("task", "view", 'preds and target, `level="sample"`', 'preds and target, `level="set"`'), rows)


def networks() -> str:
    """Each network of each task, with the settings of its constructor."""
    rows = [
        (task, f"`{name}`", _summary(kind), ", ".join(f"`{setting}`" for setting in inspect.signature(kind).parameters))
        for task, name, kind in _networks()
    ]
    return table(("task", "network", "what it sees", "settings"), rows)


def network_settings() -> str:
    """What each setting of a network is, once for all networks that describe it alike."""
    users: dict[tuple[str, str], list[str]] = {}
    for task, name, kind in _networks():
        described = _args(kind)
        for setting in inspect.signature(kind).parameters:
            users.setdefault((setting, described[setting]), []).append(f"{task} `{name}`")
    rows = [(f"`{setting}`", text, ", ".join(users[setting, text])) for setting, text in sorted(users)]
    return table(("setting", "description", "networks"), rows)


def training_settings() -> str:
    """The keys of `[training]` in a search space."""
    described = _args(Settings)
    rows = []
    for name, (kind, minimum, inclusive) in search_space.TRAINING.items():
        lowest = f"{'at least' if inclusive else 'above'} {minimum}"
        values = f"{'whole number' if kind is int else 'number'}, {lowest}"
        if name in search_space.OPTIONAL:
            default = {field.name: field.default for field in dataclasses.fields(Settings)}[name]
            values += f", at most 1; {default:.3g} if left out"
        rows.append((f"`{name}`", values, described[name]))
    return table(("key", "values", "description"), rows)


def metadata() -> str:
    """The keys of a loss file's metadata, a table for each object."""
    top = [("`schema_version`", "int", f"Version of these keys: {SCHEMA_VERSION}."), *_fields(LossMetadata)]
    sections = [table(("key", "type", "description"), top)]
    for kind in _records(LossMetadata):
        sections.append(
            f"### {kind.__name__}\n\n{_summary(kind)}\n\n{table(('key', 'type', 'description'), _fields(kind))}"
        )
    return "\n".join(sections)


def trial_attributes() -> str:
    """The user attributes of a trial in a run's study."""
    version = (f"`{VERSION_KEY}`", "int", f"Version of these attributes: {TRIAL_SCHEMA_VERSION}.")
    rows = [row for row in _fields(TrialRecord) if row[0] != "`number`"]
    return table(("attribute", "type", "description"), [version, *rows])


def run_options() -> str:
    """The keys of a run's `config.json`."""
    return table(("key", "type", "description"), _fields(Options))


def budget_table() -> str:
    """The shares of the default budget."""
    return budget.table()


def layers() -> str:
    """The order in which packages may import each other, from the first contract of import-linter."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = config["tool"]["importlinter"]["contracts"][0]
    lines = [", ".join(f"`{name.strip().removeprefix('autosurrogate.')}`" for name in layer.split("|"))
             for layer in contract["layers"]]  # fmt: skip
    return "".join(f"{i}. {line}\n" for i, line in enumerate(lines, 1))


def changelog() -> str:
    """The changelog of the repository, without its title."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    return re.sub(r"^# .*\n+", "", text)


GENERATORS: Mapping[str, Callable[[], str]] = {
    function.__name__: function
    for function in (
        budget_table, changelog, commands, exit_codes, global_options, layers, metadata, metrics, network_settings,
        networks, run_options, training_settings, trial_attributes, views,
    )
}  # fmt: skip


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""A table in Markdown.

    >>> print(table(("a", "b"), [("1", "x|y")]))
    | a | b |
    | --- | --- |
    | 1 | x\|y |
    <BLANKLINE>
    """
    lines = [heading, ["---"] * len(heading), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(' '.join(cell.split()) for cell in line)} |\n" for line in lines)


def _networks() -> Iterator[tuple[str, str, type]]:
    """Task, name and class of each network, those included that are only for tasks with a vocabulary."""
    for task in _task_names():
        for name, kind in surrogates.networks(tasks.get(task)).items():
            yield task, name, kind
    for name in sequence.SPELLED.keys() - sequence.NETWORKS.keys():
        yield "sequence with `--tokenizer`", name, sequence.SPELLED[name]


def _task_names() -> list[str]:
    """The built-in tasks: users' own have their networks in themselves, see `Task.networks`."""
    return [name for name in tasks.names() if not tasks.get(name).networks]


def _summary(thing: Any) -> str:
    """The first sentence of a docstring."""
    found = SENTENCE.match(inspect.getdoc(thing) or "")
    assert found is not None, f"{thing} has no docstring that begins with a sentence"
    return " ".join(found[1].split())


def _args(kind: type) -> dict[str, str]:
    """What the section `Args:` of a class's docstring, and of its bases', says of each argument."""
    described: dict[str, str] = {}
    for base in kind.__mro__:
        section = re.search(r"^Args:\n((?:    .*\n?|\n)+)", inspect.cleandoc(base.__doc__ or ""), re.MULTILINE)
        for name, text in re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section[1] if section else "", re.MULTILINE):
            described.setdefault(name, _sentence(" ".join(text.split())))
    return described


def _fields(kind: type) -> Iterator[tuple[str, str, str]]:
    """Name, type and description of each field of a dataclass."""
    described, hints = _args(kind), typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        yield f"`{field.name}`", _kind(hints[field.name]), described[field.name]


def _records(kind: type) -> list[type]:
    """The dataclasses that stand in the fields of a dataclass, and in theirs."""
    found: list[type] = []
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        for one in (hints[field.name], *typing.get_args(hints[field.name])):
            if dataclasses.is_dataclass(one) and isinstance(one, type) and one not in found:
                found += [one, *(deeper for deeper in _records(one) if deeper not in found)]
    return found


def _kind(hint: Any) -> str:
    """A type as readers of JSON and of tables know it; a dataclass as a link to its own table."""
    arguments = typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join("null" if one is type(None) else _kind(one) for one in arguments)
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(f'`"{one}"`' for one in arguments)
    if arguments and typing.get_origin(hint) in (list, tuple):
        return f"list of {_kind(arguments[0])}"
    if arguments:
        return "object"
    known = {"ndarray": "array", "Mapping": "object", "dict": "dict"}
    return known.get(getattr(hint, "__name__", ""), getattr(hint, "__name__", str(hint)))


def _shown(command: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in command._actions if action.dest != "help"]


def _invocation(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{action.metavar or action.dest}`"
    values = ""
    if action.choices is not None:
        values = " " + "|".join(map(str, action.choices))
    elif action.nargs != 0:
        values = f" {action.metavar}" + (" ..." if action.nargs == "+" else "")
    return ", ".join(f"`{option}{values}`" for option in action.option_strings)


def _help(command: argparse.ArgumentParser, action: argparse.Action) -> str:
    text = command._get_formatter()._expand_help(action) if action.help else ""
    return _sentence(text.replace("<", "&lt;")) if text else ""


def _sentence(text: str) -> str:
    """A text with a capital at its beginning and a full stop at its end."""
    begins_with_a_value = re.match(r"\w+(,|\.\w)", text)
    text = text if begins_with_a_value else text[:1].upper() + text[1:]
    return text if text.endswith((".", ":")) else f"{text}."


def _wrapped(usage: str, width: int = 76) -> str:
    """A usage line, broken between its arguments, which may hold spaces in brackets."""
    lines, line, depth = [], "", 0
    for word in usage.split():
        if depth == 0 and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = "   "
        line = f"{line} {word}" if line else word
        depth += word.count("[") + word.count("(") - word.count("]") - word.count(")")
    return "\n".join([*lines, line])
