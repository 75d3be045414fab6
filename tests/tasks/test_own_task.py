"""A task of a user's file, as docs/how-to/own-task.md has it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import program
import pytest
import torch

from autosurrogate import Task, metric, surrogates, tasks
from autosurrogate.errors import MetricError, RegistryError
from autosurrogate.registry import store
from autosurrogate.registry.lookup import find

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "own-task.md"


@pytest.fixture(autouse=True)
def own_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    store.builtins()
    monkeypatch.setattr(store, "_METRICS", dict(store._METRICS))
    known = tasks.names()
    yield
    for name in set(tasks.names()) - set(known):
        tasks.unregister(name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page's file, recorded outputs, and a loss that was fitted."""
    made = tmp_path_factory.mktemp("own")
    code = re.search(r"```python\n(# intervals.py.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    (made / "intervals.py").write_text(code[1], encoding="utf-8")
    start = 60 * np.random.default_rng(0).random((400, 1))
    target = np.concatenate([start, start + 3], 1)
    preds = target + np.random.default_rng(1).normal(size=(400, 2)) * np.repeat([0.3, 1.5], 200)[:, None]
    np.savez(made / "outputs.npz", preds=preds.astype(np.float32), target=target, source=np.repeat([0, 1], 200))
    done = program.run("fit", "--metric", "intervals.py", "--budget", "15s", "--trials", 1, cwd=made)
    assert done.returncode == 0, done.stderr
    return made


@pytest.mark.slow
def test_it_is_checked_from_the_command_line(folder: Path) -> None:
    done = program.run("check", "intervals.py:hit_rate", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "intervals, view 'ends', a set of 64 examples a call" in done.stdout


@pytest.mark.slow
def test_its_loss_ranks_recorded_outputs_in_another_process(folder: Path) -> None:
    done = program.run("evaluate", "hit_rate.pt", "--outputs", "outputs.npz", "--set-size", 32, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "regular loss" in done.stdout
    loss = program.load(folder / "hit_rate.pt")
    target = torch.tensor([[0.0, 4.0]] * 8)
    values = [float(loss(target + away, target)) for away in (0.0, 1.0, 2.0, 4.0)]
    assert values == sorted(values)


@pytest.mark.slow
def test_outputs_that_do_not_fit_are_refused(folder: Path) -> None:
    np.savez(folder / "wrong.npz", preds=np.zeros((400, 3), np.float32), target=np.zeros((400, 2)))
    done = program.run("evaluate", "hit_rate.pt", "--outputs", "wrong.npz", cwd=folder)
    assert done.returncode == 2
    assert "wrong.npz: does not fit task 'intervals': ValueError: preds must have shape (n, 2)" in done.stderr


class Whole(Task):
    """Nothing is missing but what a test takes away."""

    name = "whole"
    views = {"all": {"set": (np.ndarray, np.ndarray)}}  # noqa: RUF012
    networks = {"none": torch.nn.Identity}  # noqa: RUF012
    search_space = "[networks.none]"

    def generate(self, *arguments: Any, **named: Any) -> Any: ...
    def decode(self, *arguments: Any) -> Any: ...
    def regular_loss(self, *arguments: Any) -> Any: ...
    def check(self, *arguments: Any) -> None: ...


def declared(task: Any) -> None:
    @metric("mine", task=task)
    def mine(preds: np.ndarray, target: np.ndarray) -> float:
        return 0.0


def test_a_class_or_an_instance_will_do() -> None:
    for task in (Whole, Whole()):
        declared(task)
        assert tasks.get("whole").name == "whole"
        assert "whole" in tasks.names()


def test_a_task_that_is_unregistered_is_unknown() -> None:
    declared(Whole)
    assert tasks.is_user_task("whole")
    tasks.unregister("whole")
    tasks.unregister("whole")
    assert not tasks.is_user_task("whole")
    with pytest.raises(MetricError, match="unknown task 'whole'"):
        tasks.get("whole")


@pytest.mark.parametrize("attribute", ["name", "views", "networks", "search_space"])
def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, attribute: str) -> None:
    monkeypatch.setattr(Whole, attribute, type(getattr(Whole, attribute))())
    with pytest.raises(
        MetricError, match=f"task Whole of .* has no '{attribute}'; set it as an attribute of the class"
    ):
        declared(Whole)


def test_a_name_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Whole, "name", "sequence")
    with pytest.raises(RegistryError, match="there is already another task called 'sequence'; choose another name"):
        declared(Whole)


def test_a_name_that_is_kept_for_vocabularies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Whole, "name", "sequence:whole")
    with pytest.raises(
        RegistryError, match="names that begin with 'sequence:' are reserved for vocabularies; choose another name"
    ):
        declared(Whole)


def test_a_name_with_a_colon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Whole, "name", "my:task")
    declared(Whole)
    assert tasks.get("my:task").name == tasks.name_without_vocabulary("my:task") == "my:task"
    assert list(surrogates.networks(tasks.get("my:task"))) == ["none"]


def test_the_same_class_of_another_file_is_another_task(tmp_path: Path) -> None:
    text = (
        "from typing import Any\nimport numpy as np\nimport torch\nfrom autosurrogate import Task, metric\n"
        + inspect.getsource(Whole)
        + '\n@metric("mine", task=Whole)\ndef mine(preds: np.ndarray, target: np.ndarray) -> float:\n    return 0.0\n'
    )
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert find(f"{tmp_path / 'one.py'}").task == "whole"
    (tmp_path / "one.py").write_text(text + "# changed\n", encoding="utf-8")
    assert find(f"{tmp_path / 'one.py'}").task == "whole"
    with pytest.raises(RegistryError, match="there is already another task called 'whole'; choose another name"):
        find(f"{tmp_path / 'two.py'}")


def test_extras_are_told_to_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Whole, "extras", ("weight",))
    with pytest.raises(
        MetricError, match="losses of users' tasks are called with preds and target only; leave out 'extras'"
    ):
        declared(Whole)


def test_what_is_no_task() -> None:
    with pytest.raises(MetricError, match=r"task must be a name or a subclass of autosurrogate.Task, got 3"):
        declared(3)
    declared(Whole)
    with pytest.raises(MetricError, match=r"unknown task 'hole': expected one of .*did you mean 'whole'"):
        declared("hole")
