"""Translations word by word: all words at once, or each after the right ones before it."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosurrogate.examples import Examples
from studies.models._experiment import Data, Experiment
from studies.training_outputs import _words
from studies.training_outputs._networks import Build, both_heads
from studies.training_outputs._recording import checkpoints, combine

N_STEPS, N_RECORDED = 800, 128
WIDTH = 64


class Bag(nn.Module):
    """The mean of the source's embeddings and an embedding of each position, through one hidden layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(_words.N_GERMAN, WIDTH, padding_idx=0)
        self.positions = nn.Parameter(torch.randn(_words.LONGEST + 1, WIDTH) / 8)
        self.hidden = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU())
        self.head = nn.Linear(WIDTH, _words.N_ENGLISH)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Logits (n, T, V) of the source alone."""
        present = (source > 0).sum(1, keepdim=True).clamp_min(1)
        mean = self.embed(source).sum(1) / present
        logits: Tensor = self.head(self.hidden(mean[:, None] + self.positions))
        return logits


class Attention(nn.Module):
    """Positions attend to the source's embeddings, which a recurrent layer has gone over."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(_words.N_GERMAN, WIDTH, padding_idx=0)
        self.encoder = nn.GRU(WIDTH, WIDTH // 2, batch_first=True, bidirectional=True)
        self.positions = nn.Parameter(torch.randn(_words.LONGEST + 1, WIDTH) / 8)
        self.attention = nn.MultiheadAttention(WIDTH, 4, batch_first=True)
        self.decoder = nn.GRU(WIDTH, WIDTH // 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(WIDTH, _words.N_ENGLISH)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Logits (n, T, V) of the source alone."""
        states = self.encoder(self.embed(source))[0]
        queries = self.positions.expand(len(source), -1, -1)
        seen = self.attention(queries, states, states, key_padding_mask=source == 0)[0]
        logits: Tensor = self.head(self.decoder(seen + queries)[0])
        return logits


class TeacherForced(nn.Module):
    """A recurrent decoder that is given the right words before each position, and the last state of the encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(_words.N_GERMAN, WIDTH, padding_idx=0)
        self.encoder = nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.embed_target = nn.Embedding(_words.N_ENGLISH, WIDTH)
        self.decoder = nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.head = nn.Linear(WIDTH, _words.N_ENGLISH)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Logits (n, T, V), each of the source and the target's words before it."""
        state = self.encoder(self.embed(source))[1]
        before = F.pad(target[:, :-1].clamp_min(_words.UNKNOWN), (1, 0), value=_words.EOS)
        logits: Tensor = self.head(self.decoder(self.embed_target(before), state)[0])
        return logits


def forward(model: nn.Module, batch: Data) -> Examples:
    """Logits (n, T, V) and words (n, T), with the number of the word that ends a sentence."""
    target = batch["target"]
    eos_id = torch.full((len(target),), _words.EOS)
    return Examples(model(batch["source"], target), target, {"eos_id": eos_id})


def load(folder: Path) -> dict[str, Data]:
    """Short sentences of Multi30k."""
    return _words.translations(folder)


def experiment(build: Build) -> Experiment:
    """What the models have in common."""
    return Experiment(
        task="sequence",
        load=load,
        build=build,
        forward=forward,
        n_steps=N_STEPS,
        batch_size=64,
        learning_rate=3e-3,
        checkpoints=checkpoints(N_STEPS),
        n_recorded=N_RECORDED,
    )


RECORDINGS = combine(
    "translation",
    experiment,
    {"multi30k": {}},
    {"multi30k": both_heads({"bag": Bag, "attention": Attention, "teacher_forced": TeacherForced})},
)
