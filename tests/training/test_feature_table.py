from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from autosurrogate import surrogates, tasks
from autosurrogate.examples import Examples
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.surrogates import loss_arguments
from autosurrogate.training.feature_table import BLOCK_EXAMPLES, FeatureTable, tabulate
from autosurrogate.training.gradients import gradient_penalty, score
from autosurrogate.training.loop import losses

CPU = torch.device("cpu")
NETWORKS: dict[tuple[str, str], dict[str, Any]] = {
    ("classification", "margin"): {"temperatures": [1.0, 0.3], "n_competitors": 3, "width": 8, "n_outputs": 4},
    ("classification", "confusion"): {"temperatures": [1.0, 0.3], "width": 8},
    ("classification", "target_probability"): {"width": 8, "n_hidden": 2},
    ("sequence", "match"): {"temperatures": [1.0, 0.3], "width": 8},
    ("sequence", "target_attention"): {"width": 8, "n_layers": 1},
}
each_network = pytest.mark.parametrize(("task", "network"), NETWORKS)
each_level = pytest.mark.parametrize(("level", "set_size"), [("sample", 1), ("set", 1), ("set", 3), ("set", 80)])


def built(task: str, network: str, level: str, **changed: Any) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        loss: Any = surrogates.build(tasks.get(task), level, network, **{**NETWORKS[task, network], **changed})
    loss.sign.fill_(-2.5)
    return loss


def chunk(task: str, set_size: int, seed: int, n_points: int = 3) -> Chunk:
    generator = torch.Generator().manual_seed(seed)
    examples = tasks.get(task).generate(torch.rand(n_points, generator=generator), generator, set_size)
    examples.target[0 if task == "classification" else (0, -1)] = -100
    return Chunk(examples, set_size, torch.rand(n_points, generator=generator, dtype=torch.float64), None)


def chunks(task: str, set_size: int) -> list[Chunk]:
    """Points of two sizes of example, of more rows than are worked on at a time where they are single ones."""
    return [chunk(task, set_size, 0), chunk(task, set_size, 1, BLOCK_EXAMPLES["cpu"] + 5 if set_size == 1 else 2)]


def gradients(loss: Any, task: str, chunk: Chunk, *, create_graph: bool = False) -> Tensor:
    """The gradient of each point's loss with respect to its predictions, by autograd, shape (n_points, numbers)."""
    preds = chunk.examples.preds.clone().requires_grad_()
    found = loss.points(*loss_arguments(tasks.get(task), chunk.examples.with_preds(preds)), chunk.set_size)
    (gradient,) = torch.autograd.grad(found.sum(), preds, create_graph=create_graph)
    return gradient.reshape(len(chunk), -1)


def check_norms(loss: Any, task: str, table: FeatureTable, points: list[Chunk]) -> None:
    features = table.features.clone().requires_grad_()
    (v,) = torch.autograd.grad(score(loss, features).sum(), features)
    found = torch.einsum("pra,prab,prb->p", v, table.gram, v).sqrt()
    expected = torch.cat([gradients(loss, task, c).norm(dim=1) for c in points])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert expected.max() > 1e-5


@each_network
@each_level
def test_the_gram_matrices_give_the_norms_of_gradients(task: str, network: str, level: str, set_size: int) -> None:
    loss, points = built(task, network, level), chunks(task, set_size)
    (table,) = tabulate(loss, tasks.get(task), points, CPU)
    assert len(table) == sum(map(len, points))
    assert table.features.shape[:2] == table.gram.shape[:2] == (len(table), loss.network.n_rows(set_size))
    check_norms(loss, task, table, points)


def test_the_check_catches_a_gram_matrix_of_something_else() -> None:
    loss, points = built("classification", "margin", "set"), chunks("classification", 3)
    (table,) = tabulate(loss, tasks.get("classification"), points, CPU)
    wrong = FeatureTable(table.features, torch.diag_embed(table.gram.diagonal(dim1=2, dim2=3)), table.values)
    with pytest.raises(AssertionError):
        check_norms(loss, "classification", wrong, points)


@each_network
@each_level
def test_the_losses_of_a_table_are_those_of_its_points(task: str, network: str, level: str, set_size: int) -> None:
    loss, points = built(task, network, level), chunks(task, set_size)
    (table,) = tabulate(loss, tasks.get(task), points, CPU)
    expected = torch.cat([loss.points(*loss_arguments(tasks.get(task), c.examples), set_size) for c in points])
    torch.testing.assert_close(losses(loss, [table]), expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(table.values, torch.cat([c.values for c in points]))


@pytest.mark.parametrize(
    ("task", "network", "narrower"),
    [
        ("classification", "margin", {"temperatures": [0.3]}),
        ("classification", "margin", {"n_competitors": 1}),
        ("classification", "confusion", {"temperatures": [0.3]}),
        ("sequence", "match", {"temperatures": [0.3]}),
        ("sequence", "match", {"temperatures": [0.3, 1.0]}),
    ],
)
def test_a_selection_is_the_table_of_the_narrower_network(task: str, network: str, narrower: dict[str, Any]) -> None:
    points = chunks(task, 3)
    (wide,) = tabulate(built(task, network, "set"), tasks.get(task), points, CPU)
    loss = built(task, network, "set", **narrower)
    (own,), selected = tabulate(loss, tasks.get(task), points, CPU), wide.select(loss.network.feature_names())
    assert selected.feature_names == own.feature_names
    torch.testing.assert_close(selected.features, own.features)
    torch.testing.assert_close(selected.gram, own.gram)
    assert selected.values is wide.values
    check_norms(loss, task, selected, points)


@each_network
def test_selecting_all_columns_changes_nothing(task: str, network: str) -> None:
    loss = built(task, network, "set")
    (table,) = tabulate(loss, tasks.get(task), chunks(task, 3), CPU)
    assert table.select(loss.network.feature_names()) is table


def test_what_is_not_there_cannot_be_selected() -> None:
    (table,) = tabulate(built("sequence", "match", "sample"), tasks.get("sequence"), [chunk("sequence", 1, 0)], CPU)
    with pytest.raises(ValueError, match="not in"):
        table.select(["of the moon"])


def test_when_time_is_up_the_first_chunk_is_there() -> None:
    points = chunks("classification", 3)
    loss = built("classification", "margin", "set")
    (table,) = tabulate(loss, tasks.get("classification"), points, CPU, within_s=0)
    assert len(table) == len(points[0])


def test_sets_of_several_sizes_are_tabulated_by_their_rows_with_gradients_of_one_size() -> None:
    task, points = tasks.get("classification"), [chunk("classification", n, n) for n in (8, 2, 8)]
    loss = built("classification", "margin", "set")
    tables = tabulate(loss, task, points, CPU, of_size=2)
    assert [(len(t), t.features.shape[1]) for t in tables] == [(6, 8), (3, 2)]
    (plain,), (small,) = tabulate(loss, task, points[::2], CPU), tabulate(loss, task, points[1:2], CPU)
    torch.testing.assert_close(tables[0].gram, 4 * plain.gram)
    torch.testing.assert_close(tables[1].gram, small.gram)
    assert len(tabulate(built("classification", "confusion", "set"), task, points, CPU)) == 1  # always one row


def test_gradients_are_measured_in_the_unit_of_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    task, points = tasks.get("classification"), [chunk("classification", 3, 0)]
    loss = built("classification", "margin", "set")
    (plain,) = tabulate(loss, task, points, CPU)
    monkeypatch.setattr(type(task), "unit", lambda self, examples: torch.full((len(examples), 1), 3.0))
    (scaled,) = tabulate(loss, task, points, CPU)
    torch.testing.assert_close(scaled.gram, 9 * plain.gram)
    torch.testing.assert_close(scaled.features, plain.features)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_predictions_of_few_bits_are_tabulated_in_float32(dtype: torch.dtype) -> None:
    made = chunk("classification", 3, 0)
    low = Chunk(made.examples.with_preds(made.examples.preds.to(dtype)), 3, made.values, None)
    same = Chunk(low.examples.with_preds(low.examples.preds.float()), 3, made.values, None)
    loss, task = built("classification", "margin", "set"), tasks.get("classification")
    (found,), (expected,) = tabulate(loss, task, [low], CPU), tabulate(loss, task, [same], CPU)
    torch.testing.assert_close(found.gram, expected.gram)


@each_network
@each_level
def test_the_gradient_penalty_and_its_gradients_are_those_of_a_double_backward(
    task: str, network: str, level: str, set_size: int
) -> None:
    loss, points = built(task, network, level), chunks(task, set_size)
    (table,) = tabulate(loss, tasks.get(task), points, CPU)
    features = table.features.clone().requires_grad_()
    found = gradient_penalty(score(loss, features), features, table.gram)
    norms = torch.cat([gradients(loss, task, c, create_graph=True).square().sum(1) for c in points])
    expected = (norms.clamp_min(1e-12).sqrt() - 1).square().mean()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    parameters = list(loss.parameters())
    ours, theirs = (
        torch.cat([g.flatten() for g in torch.autograd.grad(x, parameters, materialize_grads=True)])
        for x in (found, expected)
    )
    assert theirs.norm() > 1e-4
    assert (ours - theirs).norm() <= 1e-4 * theirs.norm()


@each_network
@each_level
def test_without_gram_matrices_the_features_are_the_same(task: str, network: str, level: str, set_size: int) -> None:
    loss, points = built(task, network, level), chunks(task, set_size)
    whole, judged = (tabulate(loss, tasks.get(task), points, CPU, gram=gram) for gram in (True, False))
    for a, b in zip(whole, judged, strict=True):
        torch.testing.assert_close(a.features, b.features)
        torch.testing.assert_close(a.values, b.values)
        assert (a.gram is None, b.gram) == (False, None)
        assert b.select(b.feature_names[:1]).gram is None


def with_an_end(chunk: Chunk) -> Chunk:
    ends = {"eos_id": torch.full((len(chunk.examples),), 2)}
    return Chunk(Examples(chunk.examples.preds, chunk.examples.target, ends), chunk.set_size, chunk.values, None)


def test_parts_have_the_same_features_and_gram_matrices_between_them() -> None:
    for (task, network), settings in NETWORKS.items():
        if "temperatures" not in settings:
            continue
        whole = built(task, network, "set")
        parts = [built(task, network, "set", temperatures=[t]) for t in reversed(settings["temperatures"])]
        points = [chunk(task, 3, seed, n_points=60) for seed in range(3)]  # several blocks, so that parts are used, too
        if task == "sequence":  # which has to be told to the parts as well
            points = [with_an_end(c) for c in points]
        for found, expected in zip(
            tabulate(whole, tasks.get(task), points, CPU, parts=parts),
            tabulate(whole, tasks.get(task), points, CPU),
            strict=True,
        ):
            assert found.feature_names == expected.feature_names
            torch.testing.assert_close(found.features, expected.features, rtol=1e-4, atol=1e-5)
            assert expected.gram is not None
            torch.testing.assert_close(found.gram, expected.gram, rtol=1e-3, atol=1e-4 * float(expected.gram.max()))
