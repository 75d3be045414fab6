from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import autosurrogate.testing.tasks as conformance
from autosurrogate import surrogates, tasks
from autosurrogate.errors import OutputsError
from autosurrogate.examples import Examples
from autosurrogate.registry.lookup import find, with_tokenizer
from autosurrogate.search import search_space
from autosurrogate.tasks import _vocabulary
from autosurrogate.tasks._spelled_sequence import SpelledSequenceTask

STEMS = ["walk", "talk", "jump", "look", "paint", "wait", "call", "help", "open", "turn", "start", "play"]
TOKENS = ["<pad>", ""] + [f"▁{stem}{end}" for stem in STEMS for end in ("", "s", "ed", "ing", "er", "ers", "er's")]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    path.write_text("\n".join(TOKENS) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def task(file: Path) -> SpelledSequenceTask:
    found = tasks.get(tasks.name_with_vocabulary(file))
    assert isinstance(found, SpelledSequenceTask)
    return found


def generated(task: SpelledSequenceTask, severity: float, n: int = 24, seed: int = 0) -> Examples:
    return task.generate(torch.full((n,), severity), torch.Generator().manual_seed(seed))


def built(task: SpelledSequenceTask, network: str = "spelled", **settings: Any) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        loss: Any = surrogates.build(task, "sample", network, **(settings or {"temperatures": [1.0, 0.1]}))
    return loss


def losses(task: SpelledSequenceTask, loss: Any, examples: Examples) -> torch.Tensor:
    task.configure(loss, examples)
    found: torch.Tensor = loss.per_sample(*surrogates.loss_arguments(task, examples))
    return found.detach()


@pytest.mark.slow
def test_it_holds_what_every_task_holds(task: SpelledSequenceTask) -> None:
    checks = [
        check
        for check in conformance.task_checks(task.name)
        if not check.name.startswith(("match", "align", "general"))
    ]
    assert len(checks) > 20
    for check in checks:
        check.run()


def test_a_vocabulary_that_is_edited_is_read_again(tmp_path: Path) -> None:
    path, metric = tmp_path / "vocab.txt", find("chrf")
    path.write_text("\n".join(TOKENS) + "\n", encoding="utf-8")
    first = tasks.get(with_tokenizer(metric, path).task)
    path.write_text("\n".join([*TOKENS, "more"]) + "\n", encoding="utf-8")
    second = tasks.get(with_tokenizer(metric, path).task)
    assert isinstance(first, SpelledSequenceTask)
    assert isinstance(second, SpelledSequenceTask)
    assert len(second.vocabulary) == len(first.vocabulary) + 1
    assert tasks.name_without_vocabulary(first.name) == tasks.name_without_vocabulary(second.name) == "sequence"


def test_the_networks_of_sequences_are_searched_after_those_that_see_spelling(task: SpelledSequenceTask) -> None:
    found, plain = search_space.load(task), search_space.load(tasks.get("sequence"))
    assert list(found.networks) == ["spelled", *plain.networks]
    assert (found.training, found.soft_ranks) == (plain.training, plain.soft_ranks)


def test_it_is_none_of_the_tasks_that_are_listed(task: SpelledSequenceTask) -> None:
    assert task.name not in tasks.names()
    assert tasks.get(task.name) is task


def test_generated_tokens_are_of_the_vocabulary_and_spell_something(task: SpelledSequenceTask) -> None:
    for seed in range(8):
        made = generated(task, 0.5, seed=seed)
        columns = made.extras["columns"]
        assert columns.shape == (len(made), made.preds.shape[2])
        assert len(set(columns[0].tolist())) == columns.shape[1]
        assert set(columns[0].tolist()) <= set(task.vocabulary.spelled.tolist())
        assert (columns == columns[0]).all()


def test_every_other_token_is_spelled_like_the_one_before(task: SpelledSequenceTask) -> None:
    grams = torch.nn.functional.normalize(torch.from_numpy(task.vocabulary.grams).float(), dim=1)
    beside, any_two = [], []
    for seed in range(8):
        columns = generated(task, 0.5, seed=seed).extras["columns"][0]
        first, second = columns[::2][: len(columns) // 2], columns[1::2]
        beside.append((grams[first] * grams[second]).sum(1))
        any_two.append((grams[first] @ grams[second].T).flatten())
    assert torch.cat(beside).mean() > 0.3 + torch.cat(any_two).mean()


def test_tokens_are_often_written_for_those_that_are_spelled_alike(task: SpelledSequenceTask) -> None:
    alike = other = 0
    for seed in range(20):
        made = generated(task, 0.4, seed=seed)
        n_common = min(made.preds.shape[1], made.target.shape[1])
        written, target = made.preds.argmax(2)[:, :n_common], made.target[:, :n_common]
        there = (target >= 0) & made.extras["preds_mask"][:, :n_common] & (written != target)
        alike += int((there & (written == (target ^ 1))).sum())
        other += int((there & (written == (target ^ 2))).sum())
    assert alike > 2 * other


def test_a_metric_is_given_real_text_or_the_vocabulary_s_tokens(task: SpelledSequenceTask) -> None:
    made = generated(task, 0.3)
    hypotheses, references = task.decode(made, "tokens")
    columns = made.extras["columns"][0]
    assert references[0] == columns[made.target[0][made.target[0] >= 0]].tolist()
    assert hypotheses[0] == columns[made.preds[0].argmax(1)[made.extras["preds_mask"][0]]].tolist()
    texts = task.decode(made, "text")
    assert texts[1][0] == "".join(TOKENS[i] for i in references[0]).replace("▁", " ").strip()
    assert texts[0] == [task.vocabulary.text(row) for row in hypotheses]


@pytest.mark.parametrize("network", ["spelled", "match"])
def test_logits_of_the_whole_vocabulary_are_the_same_predictions(task: SpelledSequenceTask, network: str) -> None:
    loss, made = built(task, network), generated(task, 0.4)
    whole = task.as_model_output(made)
    assert whole.preds.shape == (*made.preds.shape[:2], len(TOKENS))
    assert "columns" not in whole.extras
    assert task.decode(whole, "text") == task.decode(made, "text")
    torch.testing.assert_close(losses(task, loss, whole), losses(task, loss, made), atol=1e-4, rtol=1e-3)


def test_where_it_is_sure_the_network_counts_the_n_grams_that_are_decoded(task: SpelledSequenceTask) -> None:
    loss, made = built(task, temperatures=[1e-3]), generated(task, 0.5)
    task.configure(loss, made)
    features = loss.features(*surrogates.loss_arguments(task, made), 1)
    hypotheses, references = task.decode(made, "tokens")
    columns = loss.network.feature_names()
    for row, (ours, theirs) in enumerate(zip(hypotheses, references, strict=True)):
        ends = np.cumsum(_vocabulary.BINS)
        for order, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True), 1):
            found, wanted = (task.vocabulary.grams[ids, start:end].astype(int).sum(0) for ids in (ours, theirs))
            common = np.minimum(found, wanted).sum()
            assert features[row, columns.index(f"precise of {order} characters at 0.001")].item() == pytest.approx(
                common / max(found.sum(), 1), abs=1e-4
            )
            assert features[row, columns.index(f"recalled of {order} characters at 0.001")].item() == pytest.approx(
                common / max(wanted.sum(), 1), abs=1e-4
            )


def test_relative_features_are_the_same_where_all_logits_are_nearly_equal(task: SpelledSequenceTask) -> None:
    loss, made = built(task, temperatures=[1.0], relative_temperatures=[0.1]), generated(task, 0.5)
    task.configure(loss, made)
    relative = [i for i, name in enumerate(loss.network.feature_names()) if "relative" in name]
    usual, flat = (
        loss.features(*surrogates.loss_arguments(task, made.with_preds(scale * made.preds)), 1)[:, relative]
        for scale in (1.0, 0.01)
    )
    assert len(relative) > 20
    torch.testing.assert_close(flat, usual, atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize(("eos_id", "blank_id"), [(-1, -1), (0, -1), (-1, 0)])
def test_expected_counts_are_of_what_is_decoded_with_ends_and_blanks(
    task: SpelledSequenceTask, eos_id: int, blank_id: int
) -> None:
    generator = torch.Generator().manual_seed(3)
    preds = 3 * torch.randn(16, 9, len(TOKENS), generator=generator)
    preds[:, :, 0] += 5  # ends and blanks are frequent
    target = torch.randint(2, len(TOKENS), (16, 5), generator=generator)
    extras = {name: torch.full((16,), i) for name, i in (("eos_id", eos_id), ("blank_id", blank_id))}
    examples, loss = Examples(preds, target, extras), built(task, temperatures=[1e-3])
    task.configure(loss, examples)
    features = loss.features(*surrogates.loss_arguments(task, examples), 1)
    column = loss.network.feature_names().index("recalled of 1 characters at 0.001")
    hypotheses, references = task.decode(examples, "tokens")
    for row, (ours, theirs) in enumerate(zip(hypotheses, references, strict=True)):
        found, wanted = (task.vocabulary.grams[ids, : _vocabulary.BINS[0]].astype(int).sum(0) for ids in (ours, theirs))
        assert features[row, column].item() == pytest.approx(np.minimum(found, wanted).sum() / wanted.sum(), abs=1e-3)
    assert (len(set(map(len, hypotheses))) > 2) == (eos_id >= 0 or blank_id >= 0)


def test_a_token_that_is_spelled_alike_is_better_than_any_other(task: SpelledSequenceTask) -> None:
    loss = built(task)
    walks, walk, paint = (TOKENS.index(token) for token in ("▁walks", "▁walk", "▁paint"))
    target = torch.tensor([[walks]])
    preds = torch.full((2, 1, len(TOKENS)), -10.0)
    preds[0, 0, walk] = preds[1, 0, paint] = 10.0
    alike, other = losses(task, loss, Examples(preds, target.expand(2, 1), {}))
    assert alike < other - 0.01
    unseeing = built(task, "match")
    alike, other = losses(task, unseeing, Examples(preds, target.expand(2, 1), {}))
    assert math.isclose(alike, other, abs_tol=1e-6)


def test_recorded_outputs_are_of_the_whole_vocabulary(task: SpelledSequenceTask) -> None:
    arrays = {"preds": np.zeros((2, 3, len(TOKENS)), np.float32), "target": np.full((2, 3), 5)}
    task.check(arrays)
    with pytest.raises(OutputsError, match=rf"preds must have the logits of all {len(TOKENS)} tokens of .*, got 9"):
        task.check({**arrays, "preds": np.zeros((2, 3, 9), np.float32)})


def test_a_mixture_s_parts_are_of_the_vocabulary_too(file: Path) -> None:
    from autosurrogate.registry import mixtures

    mixed = with_tokenizer(mixtures.mixed([find("chrf"), find("bleu")], [1.0, 1.0]), file)
    assert {mixed.task, *(part.task for part in mixed.parts)} == {tasks.name_with_vocabulary(file)}
    assert with_tokenizer(find("chrf"), None) is find("chrf")
