"""Sequences of tokens of one vocabulary, whose spelling is known."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate.errors import OutputsError
from autosurrogate.examples import Examples
from autosurrogate.tasks import _vocabulary
from autosurrogate.tasks._draw import Draw
from autosurrogate.tasks._lookup import VOCABULARY_PREFIX
from autosurrogate.tasks._sequence_generator import generate
from autosurrogate.tasks.sequence import SequenceTask

N_COMPARED = 512  # tokens among which a similarly spelled one is searched
ABSENT = -30.0  # logit of a token that a generated example does not use


class SpelledSequenceTask(SequenceTask):
    """As `SequenceTask`, where V is the size of the vocabulary.

    Generated examples have logits of only a few of its tokens, `columns` (n, V'), the same in all rows. Metrics get
    the text of the tokens, networks their spelling.

    Args:
        name: see `autosurrogate.tasks.name_with_vocabulary`; it ends with the file of the vocabulary.
    """

    metric_extras = (*SequenceTask.metric_extras, "columns")

    def __init__(self, name: str) -> None:
        self.name = name  # type: ignore[misc]  # an attribute of the instance: there is one for each vocabulary
        self.vocabulary = _vocabulary.read(name.removeprefix(VOCABULARY_PREFIX).partition(":")[2])
        self.search_space = _search_space()  # type: ignore[misc]
        self._grams = torch.from_numpy(self.vocabulary.grams)

    def generate(self, severity: Tensor, generator: torch.Generator, set_size: int = 1, view: str = "") -> Examples:
        """As `SequenceTask.generate`; every second token is spelled like the one before.

        Wrong tokens are often similarly spelled ones.
        """
        draw = Draw(generator)
        examples = generate(severity, set_size, draw, most_tokens=len(self.vocabulary.spelled))
        columns = self._columns(examples.preds.shape[2], draw)
        return Examples(
            examples.preds, examples.target, {**examples.extras, "columns": columns.expand(len(examples), -1)}
        )

    def decode(self, examples: Examples, view: str) -> tuple[Any, Any]:
        """Lists of tokens, or their text."""
        hypotheses, references = super().decode(examples, "tokens")
        columns = examples.extras.get("columns")
        if columns is not None and len(examples):
            of_column = columns[0].tolist()
            hypotheses, references = (
                [[of_column[i] for i in row] for row in rows] for rows in (hypotheses, references)
            )
        if view == "tokens":
            return hypotheses, references
        return [self.vocabulary.text(row) for row in hypotheses], [self.vocabulary.text(row) for row in references]

    def configure(self, loss: Any, examples: Examples) -> None:
        """Set the ids of the end and of the blank, and the n-grams of the tokens where the network has `grams`."""
        super().configure(loss, examples)
        if hasattr(loss.network, "grams"):
            columns = examples.extras.get("columns")
            grams = self._grams if columns is None or not len(columns) else self._grams[columns[0].cpu()]
            loss.network.grams = grams.to(examples.preds.device)

    def as_model_output(self, examples: Examples) -> Examples:
        """Generated examples with logits of the whole vocabulary."""
        extras = dict(examples.extras)
        columns = extras.pop("columns")
        preds = examples.preds.new_full((*examples.preds.shape[:2], len(self.vocabulary)), ABSENT)
        preds.index_copy_(2, columns[0], examples.preds)
        target = examples.target.long()
        return Examples(preds, torch.where(target >= 0, columns[0][target.clamp_min(0)], target), extras)

    def perturbations(self, examples: Examples, generator: torch.Generator) -> Mapping[str, Examples]:
        """None: the networks see how tokens are spelled."""
        return {}

    def check(self, arrays: Mapping[str, np.ndarray]) -> None:
        """As `SequenceTask.check`; the last axis of preds is the vocabulary."""
        super().check(arrays)
        if arrays["preds"].shape[2] != len(self.vocabulary):
            raise OutputsError(
                f"preds must have the logits of all {len(self.vocabulary)} tokens of {self.vocabulary.path}, "
                f"got {arrays['preds'].shape[2]}"
            )

    def _columns(self, n: int, draw: Draw) -> Tensor:
        """Tokens of n columns, shape (n,), all different; each second one is spelled like the one before."""
        tokens = torch.from_numpy(self.vocabulary.spelled)
        shuffled = tokens[torch.randperm(len(tokens), generator=draw.generator)]
        first, others = shuffled[: (n + 1) // 2], shuffled[(n + 1) // 2 :][:N_COMPARED]
        alike = _directions(self._grams[first]) @ _directions(self._grams[others]).T
        beside = torch.empty(n // 2, dtype=torch.long)
        for i in range(n // 2):  # one by one, so that none is used twice
            beside[i] = alike[i].argmax()
            alike[:, beside[i]] = -1
        columns = torch.empty(n, dtype=torch.long)
        columns[::2], columns[1::2] = first, others[beside]
        return columns


def _directions(grams: Tensor) -> Tensor:
    return F.normalize(grams.float(), dim=1)


def _search_space() -> str:
    """The search space of sequences, preceded by the networks that see the spelling."""
    folder = resources.files("autosurrogate.search_spaces")
    texts = [folder.joinpath(f"{name}.toml").read_text(encoding="utf-8") for name in ("spelled_sequence", "sequence")]
    return "\n".join(texts)


@functools.lru_cache(maxsize=4)
def named(name: str) -> SpelledSequenceTask:
    """The task of that name. Its vocabulary is read once."""
    return SpelledSequenceTask(name)
