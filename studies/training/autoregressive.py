"""Autoregressive translation, fine-tuned from one model that was pretrained with cross-entropy."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from autosurrogate.examples import Examples
from autosurrogate.registry.lookup import find
from studies.models._experiment import Data
from studies.models.autoregressive import EXPERIMENTS, after_start, translations, with_end
from studies.models.translator import PAD, trimmed
from studies.training._comparison import Rival
from studies.training.translation import corpus_scores, fine_tuned

N_CANDIDATES = 4  # sampled for each sentence, beside the reference
N_SENTENCES = 8  # of a batch, that candidates are sampled for: with these a training takes four times as long
SHARPNESS = 0.005  # of the distribution over candidates


def measure(model: nn.Module, data: Data, folder: Path) -> dict[str, float]:
    """Corpus BLEU, in [0, 100], of detokenised translations that the model wrote by itself."""
    return {"bleu": corpus_scores(*translations(model, data, folder))["bleu"]}


def minimum_risk(model: nn.Module, batch: Data, examples: Examples) -> Tensor:
    """Expected 1 - sentence BLEU over candidates sampled from the model and the reference (Shen et al., ACL 2016)."""
    source, references = (batch[side][:N_SENTENCES] for side in ("source", "target"))
    source, references = trimmed(source), trimmed(with_end(references))
    model.eval()
    sampled_pieces = model.translate(source.repeat_interleave(N_CANDIDATES, 0), sampled=True)
    model.train()
    n_pieces = max(sampled_pieces.shape[1], references.shape[1])
    candidates = torch.full((len(source), N_CANDIDATES + 1, n_pieces), PAD, device=source.device)
    candidates[:, :-1, : sampled_pieces.shape[1]] = sampled_pieces.view(len(source), N_CANDIDATES, -1)
    candidates[:, -1, : references.shape[1]] = references
    risk = _risks(candidates.cpu(), references.cpu()).to(source.device)
    again = (candidates[:, :, None] == candidates[:, None]).all(-1).tril(-1).any(-1)  # the same as one before it
    flat = candidates.flatten(0, 1)
    logits = model(source.repeat_interleave(N_CANDIDATES + 1, 0), after_start(flat))
    of_piece = logits.log_softmax(-1).gather(2, flat.clamp_min(0)[:, :, None])[:, :, 0]
    log_probability = (of_piece * (flat != PAD)).sum(1).view_as(risk)
    weights = (SHARPNESS * log_probability).masked_fill(again, -torch.inf).softmax(1)
    return (weights * risk).sum(1).mean()


def _risks(candidates: Tensor, references: Tensor) -> Tensor:
    """1 - BLEU / 100 of pieces, shape (n, n_candidates), of (n, n_candidates, T) and (n, S)."""
    bleu = find("bleu").function

    def text(pieces: Tensor) -> str:
        return " ".join(map(str, pieces[pieces != PAD].tolist()))

    pairs = zip(candidates, references, strict=True)
    return torch.tensor([[1 - bleu(text(row), text(reference)) / 100 for row in rows] for rows, reference in pairs])


RIVALS = {"minimum risk": Rival("Shen et al., ACL 2016", minimum_risk, of_model=True)}


COMPARISONS = {
    name: fine_tuned(
        pretraining, rivals=RIVALS, of=measure, names=("bleu",), n_steps=600, learning_rate=5e-4, batch_size=32
    )
    for name, pretraining in EXPERIMENTS.items()
}
