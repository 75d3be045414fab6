from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import program
import pytest
import torch

from autosurrogate import tasks
from autosurrogate.errors import LabellingError, MetricError, OptionError
from autosurrogate.pipeline import mixture_scaling
from autosurrogate.points import metric_calls
from autosurrogate.registry.lookup import find
from autosurrogate.registry.metric_type import Metric

METRICS = """
import numpy as np

from autosurrogate import metric


@metric("hits", task="classification", set_size=32)
def hits(preds: np.ndarray, target: np.ndarray) -> float:
    return float((preds == target).mean())


@metric("wrong", task="classification", set_size=16, higher_is_better=False)
def wrong(preds: np.ndarray, target: np.ndarray) -> float:
    return 1000 * float((preds != target).mean())


@metric("confidence", task="classification", level="sample", view="probabilities")
def confidence(preds: np.ndarray, target: int) -> float:
    return float(preds[target])


@metric("constant", task="classification", set_size=32)
def constant(preds: np.ndarray, target: np.ndarray) -> float:
    return 0.5
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return program.write(tmp_path_factory.mktemp("mixed") / "mine.py", METRICS)


def normalised(*specs: str, weights: tuple[float, ...] = ()) -> Metric:
    return mixture_scaling.normalised(*mixture_scaling.parts(specs, weights), timeout_s=10)


def points(metric: Metric, severity: list[float], set_size: int) -> list[tuple[Any, Any]]:
    task = tasks.get(metric.task)
    examples = task.generate(torch.tensor(severity), torch.Generator().manual_seed(0), set_size, metric.view)
    return metric_calls.points_of(task, metric, examples, set_size)


def test_each_counts_by_its_weight_in_standard_deviations_and_by_its_direction(file: Path) -> None:
    # `wrong` is `hits` on another scale and the other way round: together they are `hits` in standard deviations.
    found = normalised(f"{file}:hits", f"{file}:wrong", weights=(1, 3))
    assert (found.name, found.level, found.set_size, found.higher_is_better) == ("hits+wrong", "set", 32, True)
    first, second = found.factors
    assert -1000 * second / first == pytest.approx(3, rel=0.1)
    values, of_hits = [], []
    for (hits, wrong), (hit_targets, wrong_targets) in points(found, [0.0, 0.3, 0.6, 1.0], 32):
        assert np.array_equal(hits, wrong)
        values.append(found.function((hits, wrong), (hit_targets, wrong_targets)))
        of_hits.append(float((hits == hit_targets).mean()))
    slope = np.polyfit(of_hits, values, 1)[0]
    assert slope == pytest.approx(first - 1000 * second)


@pytest.mark.slow
def test_parts_whose_hints_declare_them_are_the_same_in_another_process(file: Path) -> None:
    program.write(file.parent / "hinted.py", """
        from autosurrogate import metric


        @metric
        def shared(preds: list[int], target: list[int]) -> float:
            return len(set(preds) & set(target)) / max(len(preds), len(target), 1)
    """)  # fmt: skip
    for other in ("bleu", "exact_match"):
        found = normalised(f"{file.parent / 'hinted.py'}:shared", other)
        (point,) = points(found, [0.4], found.set_size)
        code = "import pickle, sys; m, p = pickle.load(sys.stdin.buffer); print(m.function(*p))"
        done = subprocess.run(
            [sys.executable, "-c", code], input=pickle.dumps((found, point)), capture_output=True, check=True,
            env=program.ENVIRONMENT,
        )  # fmt: skip
        assert float(done.stdout) == pytest.approx(found.function(*point))


def test_views_and_levels_may_differ(file: Path) -> None:
    found = normalised(f"{file}:hits", f"{file}:confidence")
    assert (found.view, found.level) == ("probabilities", "set")
    for (classes, probabilities), (target, each) in points(found, [0.2, 0.8], 32):
        expected = found.factors[0] * (classes == target).mean()
        expected += found.factors[1] * np.mean([p[t] for p, t in zip(probabilities, each, strict=True)])
        assert found.function((classes, probabilities), (target, each)) == pytest.approx(expected)


def test_of_single_examples_it_is_of_single_examples() -> None:
    found = normalised("bleu", "edit_distance")
    assert found.level == "sample"
    values = [found.function(*point) for point in points(found, [0.0] * 8 + [1.0] * 8, 1)]
    assert min(values[:8]) > max(np.median(values[8:]), values[-1])


@pytest.mark.slow
def test_its_spec_makes_it_again_in_a_process_without_torch(file: Path) -> None:
    found = normalised(f"{file}:hits", f"{file}:wrong")
    assert find(str(found.spec)).factors == found.factors
    (point,) = points(found, [0.5], 32)
    program.write(file.parent / "again.py", """
        import pickle
        import sys

        function, point = pickle.load(sys.stdin.buffer).function, pickle.load(sys.stdin.buffer)
        print(function(*point), "torch" in sys.modules)
    """)  # fmt: skip
    done = subprocess.run(
        [sys.executable, "again.py"], input=pickle.dumps(found) + pickle.dumps(point), cwd=file.parent,
        capture_output=True, check=True, env=program.ENVIRONMENT,
    )  # fmt: skip
    value, with_torch = done.stdout.decode().split()
    assert float(value) == pytest.approx(found.function(*point))
    assert with_torch == "False"


@pytest.mark.parametrize(
    ("specs", "weights", "error", "says"),
    [
        (("bleu", "accuracy"), (), MetricError, "one task, got bleu of sequence, accuracy of classification"),
        (("bleu", "bleu"), (), MetricError, "is named twice: bleu, bleu"),
        (("bleu", 'mixture:[[1, "bleu"], [1, "gleu"]]'), (), MetricError, "a mixture cannot contain another"),
        (
            ('mixture:[[1, "bleu"], [1, "accuracy"]]', "bleu"),
            (),
            MetricError,
            "of one loss must be of one task",
        ),
        (("bleu", "rougeL"), (1,), OptionError, "1 of them for 2 metrics"),
        (("bleu", "rougeL"), (1, 0), OptionError, "--weights 0: a weight is a number above 0"),
        (("bleu", "rougeL"), (1, float("nan")), OptionError, "--weights nan"),
        (("bleu", "rougel"), (), MetricError, "did you mean 'rougeL'"),
    ],
)
def test_what_cannot_be_mixed_is_reported(
    specs: tuple[str, ...], weights: tuple[float, ...], error: type, says: str
) -> None:
    with pytest.raises(error) as caught:
        normalised(*specs, weights=weights)
    assert says in str(caught.value)


def test_a_part_that_cannot_be_ranked_is_reported(file: Path) -> None:
    with pytest.raises(LabellingError, match="metric 'constant' is constant"):
        normalised(f"{file}:hits", f"{file}:constant")


@pytest.mark.parametrize("spec", ["mixture:", "mixture:bleu", "mixture:[[1]]", "mixture:{}"])
def test_a_spec_that_is_none(spec: str) -> None:
    with pytest.raises(MetricError, match=r"is not a mixture|has no metrics"):
        find(spec)


@pytest.mark.slow
def test_one_loss_is_fitted_judged_and_inspected(file: Path) -> None:
    folder = file.parent
    program.write(folder / "small.toml", program.SPACE)
    program.record(folder / "outputs.npz", 200)
    done = program.run(
        "fit", "--metric", "mine.py:hits", "--metric", "mine.py:confidence", "--weights", 3, 1, "--space", "small.toml",
        "--trials", 1, "--budget", "10s", "--force", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert " * hits + " in done.stdout
    evaluated = program.run("evaluate", "hits-confidence.pt", "--outputs", "outputs.npz", cwd=folder)
    assert evaluated.returncode == 0, evaluated.stderr
    inspected = program.run("inspect", "hits-confidence.pt", "--json", cwd=folder)
    metadata = json.loads(inspected.stdout)
    assert metadata["metric"] == "hits+confidence"
    assert metadata["quality"]["held_out_generated"]["loss"]["spearman"] > 0.5


@pytest.mark.slow
def test_weights_without_several_metrics_are_wrong(tmp_path: Path) -> None:
    done = program.run("fit", "--metric", "bleu", "--weights", 1, cwd=tmp_path)
    assert done.returncode == 2
    assert "--weights: are for several metrics" in done.stderr
