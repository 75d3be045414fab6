"""A small autoregressive translator of Multi30k, German to English: each piece follows from those before it.

A transformer (Vaswani et al., NeurIPS 2017) trained with the reference's pieces before each position, and evaluated by
what it writes by itself, the strongest piece at each step.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosurrogate.examples import Examples
from studies.models._experiment import Data, on
from studies.models.translator import EXPERIMENTS as TRANSLATORS
from studies.models.translator import N_POSITIONS, PAD, Transformer, pieces, trimmed

START, END = 1, 2  # pieces
N_EXTRA = 10  # pieces that a translation may have more than its source


class Autoregressive(Transformer):
    """A transformer whose decoder sees the pieces before each position."""

    def forward(self, source: Tensor, before: Tensor) -> Tensor:
        """Logits of the piece that follows each.

        Args:
            source: shape (n, S), -100 pads.
            before: pieces of the translation from `START` on, shape (n, T), -100 pads.

        Returns:
            Shape (n, T, vocabulary).
        """
        return self.logits(self.states(self.encode(source), source, before))

    def states(self, encoded: Tensor, source: Tensor, before: Tensor) -> Tensor:
        """The decoder's states, shape (n, T, width), see `forward`."""
        n_before = before.shape[1]
        later = torch.ones(n_before, n_before, dtype=torch.bool, device=before.device).triu(1)
        states: Tensor = self.decoder(
            self.embedded(before), encoded, tgt_mask=later, tgt_is_causal=True, memory_key_padding_mask=source == PAD
        )
        return states

    @torch.no_grad()
    def translate(self, source: Tensor, *, sampled: bool = False) -> Tensor:
        """Translations, shape (n, T), which end with `END` unless they are cut; -100 pads.

        Args:
            source: shape (n, S), -100 pads.
            sampled: whether pieces are sampled at random; else the strongest is taken.
        """
        encoded = self.encode(source)
        longest = min(source.shape[1] + N_EXTRA, N_POSITIONS - 1)
        written = torch.full((len(source), 1), START, device=source.device)
        running = torch.ones(len(source), dtype=torch.bool, device=source.device)
        while bool(running.any()) and written.shape[1] <= longest:
            logits = self.logits(self.states(encoded, source, written)[:, -1])
            following = logits.softmax(-1).multinomial(1)[:, 0] if sampled else logits.argmax(-1)
            written = torch.cat([written, torch.where(running, following, PAD)[:, None]], 1)
            running &= following != END
        return written[:, 1:]


def with_end(translations: Tensor) -> Tensor:
    """Translations of shape (n, T), -100 pads, followed by `END`, shape (n, T + 1)."""
    padded = F.pad(translations, (0, 1), value=PAD)
    return padded.scatter(1, (translations != PAD).sum(1, keepdim=True), END)


def after_start(translations: Tensor) -> Tensor:
    """What is before each piece of translations, shape (n, T), -100 pads."""
    return F.pad(translations[:, :-1], (1, 0), value=START)


def forward(model: nn.Module, data: Data) -> Examples:
    """Logits (n, T, V) of each piece of the references and of their ends, given those before."""
    target = with_end(data["target"])
    if model.training:
        target = trimmed(target)
    return Examples(model(trimmed(data["source"]), after_start(target)), target)


@torch.no_grad()
def translations(model: nn.Module, data: Data, folder: Path, batch_size: int = 256) -> tuple[list[str], list[str]]:
    """Translations of a split and their references, as text."""
    device = next(model.parameters()).device
    order = (data["source"] != PAD).sum(1).argsort(descending=True)
    hypotheses: list[list[int]] = [[] for _ in order]
    for rows in order.split(batch_size):
        written = model.translate(trimmed(on(device, data, rows)["source"])).cpu()
        for i, row in zip(rows.tolist(), written, strict=True):
            hypotheses[i] = row[(row != PAD) & (row != END)].tolist()
    decode = pieces(folder).decode
    return decode(hypotheses), decode([row[row != PAD].tolist() for row in data["target"].cpu()])


EXPERIMENTS = {
    "autoregressive_de_en": replace(TRANSLATORS["translator_de_en"], build=Autoregressive, forward=forward),
}
