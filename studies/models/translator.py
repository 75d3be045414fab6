"""A small non-autoregressive translator of Multi30k: all words of a translation at once, German to English and back.

A transformer as of Gu et al. (ICLR 2018) with uniformly copied encoder states, without fertilities and distillation:
pretrained with cross-entropy, then fine-tuned. In training a translation has its reference's length; in
evaluation it has the median length of the training translations of sentences as long. Pieces of words are
SentencePiece's.
"""

from __future__ import annotations

import gzip
import io
import json
import math
from functools import cache, partial
from pathlib import Path

import numpy as np
import sentencepiece
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosurrogate.examples import Examples
from studies.models._experiment import Data, Experiment, on

SPLITS = {"train": "train", "validation": "val", "test": "test_2016_flickr"}
N_PIECES = 2000  # of both languages together
LONGEST = 40  # pieces of a training sentence; longer ones are left out
N_POSITIONS = 96  # pieces of any sentence; longer ones are cut
PAD = -100
N_STRONGEST = 32  # of the vocabulary, which recorded outputs keep of each sentence beside the reference's


@cache
def pieces(folder: Path) -> sentencepiece.SentencePieceProcessor:
    """The pieces of words, learned from the training sentences of both languages.

    Args:
        folder: of the real data.
    """
    sentences = [pair[language] for pair in _pairs(folder, "train") for language in ("de", "en")]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences), model_writer=model, vocab_size=N_PIECES, model_type="bpe",
        character_coverage=1.0, num_threads=1, minloglevel=2, bos_id=1, eos_id=2, pad_id=3,
    )  # fmt: skip
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def _pairs(folder: Path, split: str) -> list[dict[str, str]]:
    with gzip.open(folder / "nmt" / f"multi30k.{SPLITS[split]}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def load(folder: Path, *, source: str, target: str) -> dict[str, Data]:
    """Sentences of each split as pieces.

    Args:
        folder: of the real data.
        source: language to translate from, "de" or "en".
        target: language to translate to.

    Returns:
        `source` and `target` int64 (n, length), -100 pads; `length` int64 (n,), of the translation if only the source
        is known.
    """
    encode = pieces(folder).encode
    sentences = {
        split: [(encode(pair[source]), encode(pair[target])) for pair in _pairs(folder, split)] for split in SPLITS
    }
    sentences["train"] = [
        pair_of_pieces for pair_of_pieces in sentences["train"] if 0 < max(map(len, pair_of_pieces)) <= LONGEST
    ]
    lengths = _typical_lengths(sentences["train"])
    return {
        split: {
            "source": _padded([a for a, _ in pairs]),
            "target": _padded([b for _, b in pairs]),
            "length": torch.tensor([lengths[min(len(a), N_POSITIONS)] for a, _ in pairs]),
        }
        for split, pairs in sentences.items()
    }


def _typical_lengths(pairs: list[tuple[list[int], list[int]]]) -> list[int]:
    """Length of a source to the median length of the targets of sources about as long."""
    of_source, of_target = (np.array([len(pair[k]) for pair in pairs]) for k in (0, 1))
    ratio = of_target.mean() / of_source.mean()
    lengths = []
    for n in range(N_POSITIONS + 1):
        alike = np.abs(of_source - n) <= 1
        lengths.append(round(float(np.median(of_target[alike]) if alike.sum() >= 20 else ratio * n)))
    return [min(max(n, 1), N_POSITIONS) for n in lengths]


def _padded(sentences: list[list[int]]) -> Tensor:
    rows = [torch.tensor(sentence[:N_POSITIONS]) for sentence in sentences]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)


class Transformer(nn.Module):
    """The parts that translators have in common; one embedding for both languages and the output."""

    def __init__(self, width: int = 128, n_layers: int = 2) -> None:
        super().__init__()
        self.embedding = nn.Embedding(N_PIECES, width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.places = nn.Embedding(N_POSITIONS, width)
        self.width = width
        shape = {"nhead": 4, "dim_feedforward": 2 * width, "dropout": 0.1, "batch_first": True, "norm_first": True}
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(width, **shape), n_layers, nn.LayerNorm(width), enable_nested_tensor=False
        )
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(width, **shape), n_layers, nn.LayerNorm(width))

    def embedded(self, pieces: Tensor) -> Tensor:
        """Embeddings of pieces at their places, shape (n, length, width); of (n, length), -100 pads."""
        places = torch.arange(pieces.shape[1], device=pieces.device)
        return self.embedding(pieces.clamp_min(0)) * math.sqrt(self.width) + self.places(places)

    def encode(self, source: Tensor) -> Tensor:
        """Encoder states, shape (n, S, width), of sources of shape (n, S), -100 pads."""
        states: Tensor = self.encoder(self.embedded(source), src_key_padding_mask=source == PAD)
        return states

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits of the pieces, of the decoder's states."""
        return hidden @ self.embedding.weight.T


class Translator(Transformer):
    """A transformer whose decoder sees all positions of the translation at once."""

    def forward(self, source: Tensor, lengths: Tensor) -> Tensor:
        """Logits of the pieces of translations.

        Args:
            source: shape (n, S), -100 pads.
            lengths: of the translations, shape (n,).

        Returns:
            Shape (n, longest, vocabulary).
        """
        absent, encoded = source == PAD, self.encode(source)
        positions = torch.arange(int(lengths.max()), device=source.device)
        beyond = positions >= lengths[:, None]
        ratio = (~absent).sum(1, keepdim=True) / lengths[:, None]
        copied = ((positions + 0.5) * ratio).long().clamp(max=source.shape[1] - 1)
        start = encoded.gather(1, copied[:, :, None].expand(-1, -1, self.width)) + self.places(positions)
        hidden = self.decoder(start, encoded, tgt_key_padding_mask=beyond, memory_key_padding_mask=absent)
        return self.logits(hidden)


def forward(model: nn.Module, data: Data) -> Examples:
    """Logits (n, T, V) of translations as long as their references."""
    target = trimmed(data["target"]) if model.training else data["target"]
    logits = model(trimmed(data["source"]), (target != PAD).sum(1))
    return Examples(F.pad(logits, (0, 0, 0, target.shape[1] - logits.shape[1])), target)


def trimmed(sentences: Tensor) -> Tensor:
    """The same without columns in which all sentences, of shape (n, length), are padding."""
    return sentences[:, : int((sentences != PAD).sum(1).max())]


def size(data: Data) -> Tensor:
    """Pieces of each translation."""
    return (data["target"] != PAD).sum(1)


@torch.no_grad()
def translations(model: nn.Module, data: Data, folder: Path, batch_size: int = 128) -> tuple[list[str], list[str]]:
    """Translations of a split, of lengths known from the source alone, and their references, as text."""
    hypotheses: list[list[int]] = []
    device = next(model.parameters()).device
    for start in range(0, len(data["source"]), batch_size):
        batch = on(device, data, slice(start, start + batch_size))
        best = model(trimmed(batch["source"]), batch["length"]).argmax(-1).cpu()
        hypotheses += [row[:n].tolist() for row, n in zip(best, batch["length"], strict=True)]
    references = [row[row != PAD].tolist() for row in data["target"].cpu()]
    decode = pieces(folder).decode
    return decode(hypotheses), decode(references)


def packed(examples: Examples) -> Examples:
    """The same with a vocabulary for each sentence: the reference's pieces, the strongest others, and all the rest.

    The argmax of each position stays what it was. Preds are log-probabilities.
    """
    log_probabilities = examples.preds.float().log_softmax(-1)
    n_kept = N_STRONGEST + examples.target.shape[1]
    strength = log_probabilities.exp().amax(1)  # of each piece, anywhere in the sentence
    strength = strength.scatter_add(1, examples.target.clamp_min(0), 2.0 * (examples.target >= 0))
    strength = strength.scatter(1, log_probabilities.argmax(-1), 2.0, reduce="add")
    kept = strength.topk(min(n_kept, strength.shape[1]), dim=1).indices
    own = log_probabilities.gather(2, kept[:, None].expand(-1, log_probabilities.shape[1], -1))
    rest = (1 - own.exp().sum(2, keepdim=True)).clamp_min(1e-6).log() - math.log(N_STRONGEST)
    same = (examples.target[:, :, None] == kept[:, None]).byte()
    target = torch.where(examples.target >= 0, same.argmax(2), PAD)
    return Examples(torch.cat([own, rest.expand(-1, -1, N_STRONGEST)], 2), target, examples.extras)


PAIRS = {f"translator_{a}_{b}": (a, b) for a, b in (("de", "en"), ("en", "de"))}
EXPERIMENTS = {
    name: Experiment(
        task="sequence",
        load=partial(load, source=source, target=target),
        build=Translator,
        forward=forward,
        n_steps=3000,
        batch_size=64,
        learning_rate=1.5e-3,
        checkpoints=(250, 500, 1000, 2000, 3000),
        pack=packed,
        n_recorded=500,
        size=size,
    )
    for name, (source, target) in PAIRS.items()
}
