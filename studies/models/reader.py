"""A small reader of questions and passages, without pretrained weights."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosurrogate.examples import Examples
from studies.models._experiment import Data, Experiment
from studies.models._questions import LOOKS, N_AFFIXES, N_WORDS, load

WIDTH = 96
DILATIONS = (1, 2, 4, 8, 1)
CONTEXT = ("text", "offsets", "answers")


class Reader(nn.Module):
    """Hashed embeddings, matches between passage and question, and convolutions that the question gates."""

    def __init__(self) -> None:
        super().__init__()
        self.word = nn.Embedding(N_WORDS, WIDTH, padding_idx=0)
        self.beginning = nn.Embedding(N_AFFIXES, WIDTH, padding_idx=0)
        self.end = nn.Embedding(N_AFFIXES, WIDTH, padding_idx=0)
        for table in (self.word, self.beginning, self.end):
            nn.init.normal_(table.weight, std=0.3 / math.sqrt(WIDTH))
        self.align = nn.Linear(WIDTH, WIDTH)
        self.question_layers = nn.ModuleList([_Block(WIDTH, 1), _Block(WIDTH, 2)])
        self.question_attention = nn.Linear(WIDTH, 2)
        self.mix = nn.Linear(2 * WIDTH + 5 + len(LOOKS), WIDTH)
        self.gates = nn.ModuleList([nn.Linear(2 * WIDTH, 2 * WIDTH) for _ in DILATIONS])
        self.layers = nn.ModuleList([_Block(WIDTH, dilation) for dilation in DILATIONS])
        self.ask = nn.Linear(2 * WIDTH, 2 * WIDTH)
        self.head = nn.Linear(WIDTH, 2)
        self.dropout = nn.Dropout(0.2)

    def forward(self, passage: Tensor, looks: Tensor, question: Tensor, rarity: Tensor) -> Tensor:
        """Start and end logits.

        Args:
            passage: hashes of the words and of their beginnings and ends, shape (n, L, 3); 0 pads.
            looks: what the words look like, shape (n, L, len(LOOKS)).
            question: as `passage`, shape (n, Q, 3).
            rarity: of the question's words, shape (n, Q).

        Returns:
            Shape (n, 2, L), -inf where the passage has ended.
        """
        n_positions = passage.size(1)
        longest = int((passage[..., 0] > 0).sum(1).amax())
        passage, looks = passage[:, :longest], looks[:, :longest]
        absent = passage[..., 0] == 0
        asked, matches = self._asked(question), self._matches(passage, question, rarity)
        words, question_words = self.dropout(self._embedded(passage)), self._embedded(question)
        aligned = self._aligned(words, question_words, question)
        hidden = self.mix(torch.cat([words, aligned, matches, looks.float()], 2)).transpose(1, 2)
        for layer, gate in zip(self.layers, self.gates, strict=True):
            factor, shift = gate(asked).unsqueeze(2).chunk(2, 1)
            hidden = layer(self.dropout(hidden * (1 + factor) + shift).masked_fill(absent.unsqueeze(1), 0))
        hidden = hidden.transpose(1, 2)
        scores = self.head(hidden) + hidden @ self.ask(asked).view(-1, 2, WIDTH).transpose(1, 2) / math.sqrt(WIDTH)
        logits = scores.transpose(1, 2).masked_fill(absent.unsqueeze(1), -math.inf)
        return F.pad(logits, (0, n_positions - longest), value=-math.inf)

    def _embedded(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self.word(ids[..., 0]) + self.beginning(ids[..., 1]) + self.end(ids[..., 2])
        return embedded

    def _asked(self, question: Tensor) -> Tensor:
        """The question in one vector, shape (n, 2 * WIDTH)."""
        hidden = self.dropout(self._embedded(question)).transpose(1, 2)
        absent = (question[..., 0] == 0).unsqueeze(1)
        for layer in self.question_layers:
            hidden = layer(hidden.masked_fill(absent, 0))
        weights = self.question_attention(hidden.transpose(1, 2)).transpose(1, 2).masked_fill(absent, -1e4).softmax(2)
        asked: Tensor = (weights @ hidden.transpose(1, 2)).flatten(1)
        return asked

    def _aligned(self, words: Tensor, question_words: Tensor, question: Tensor) -> Tensor:
        """The question's words that are like each word of the passage, shape (n, L, WIDTH)."""
        alike = F.relu(self.align(words)) @ F.relu(self.align(question_words)).transpose(1, 2)
        weights = alike.masked_fill((question[..., 0] == 0).unsqueeze(1), -1e4).softmax(2)
        aligned: Tensor = weights @ question_words
        return aligned

    def _matches(self, passage: Tensor, question: Tensor, rarity: Tensor) -> Tensor:
        """Whether each word of the passage is in the question, and how rare such words are about it, (n, L, 5)."""
        equal = (passage.unsqueeze(2) == question.unsqueeze(1)) & (question > 0).unsqueeze(1)
        same, alike = equal[..., 0].float(), equal[..., 1].float()
        matches = torch.stack([same.amax(2), alike.amax(2), (same * rarity.unsqueeze(1)).amax(2),
                             (alike * rarity.unsqueeze(1)).amax(2)], 2)  # fmt: skip
        about = F.avg_pool1d(matches[..., 3:].transpose(1, 2), 21, 1, 10).transpose(1, 2)
        return torch.cat([matches, 5 * about], 2)


class _Block(nn.Module):
    """A separable convolution with a residual path: (n, width, L) to the same."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.along = nn.Conv1d(width, width, 7, padding=3 * dilation, dilation=dilation, groups=width)
        self.across = nn.Sequential(nn.Linear(width, 2 * width), nn.GLU())

    def forward(self, hidden: Tensor) -> Tensor:
        normed = self.norm(hidden.transpose(1, 2)).transpose(1, 2)
        update: Tensor = self.across(self.along(normed).transpose(1, 2)).transpose(1, 2)
        return hidden + update


def forward(model: nn.Module, data: Data) -> Examples:
    """Start and end logits, with the passages' text where there is one."""
    preds = model(data["passage"], data["looks"], data["question"], data["rarity"])
    return Examples(preds, data["target"], {name: data[name] for name in CONTEXT if name in data})


EXPERIMENTS = {
    "reader": Experiment(
        task="span",
        load=load,
        build=Reader,
        forward=forward,
        n_steps=800,
        batch_size=32,
        learning_rate=3e-3,
        checkpoints=(10, 30, 100, 250, 500, 800),
        n_recorded=1000,
    )
}
