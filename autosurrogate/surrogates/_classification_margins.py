"""Margins between the logits of the target class and its competitors, and their size in a point."""

import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate.surrogates._layers import FAR, bounded, calmed


def ties_broken(logits: Tensor, step: float = 1e-6) -> Tensor:
    """Logits less the largest of each example, of which the first of equal ones is the largest, as for an argmax.

    Args:
        logits: shape (n, C), or with further axes behind.
        step: by how much the last class is behind the first where all logits are equal.
    """
    n_classes = logits.size(1)
    behind = torch.arange(n_classes, dtype=torch.float32, device=logits.device) * (step / n_classes)
    logits = bounded(logits)
    return logits - logits.detach().amax(1, keepdim=True) - behind.view([n_classes] + [1] * (logits.dim() - 2))


def margins_to_strongest(logits: Tensor, target: Tensor, n_competitors: int, far: float = FAR) -> Tensor:
    """The target's logit less those of the strongest others, shape (n, n_competitors); `far` where there are fewer."""
    n_classes = logits.size(1)
    logits = ties_broken(logits)
    fixed = logits.detach()
    if not torch.jit.is_scripting() or n_classes <= n_competitors:  # type: ignore[attr-defined]
        fixed = F.pad(fixed, (0, n_competitors + 1), value=-float("inf"))  # an exported program serves any number
    best = fixed.topk(n_competitors + 1, 1)[1]
    # The target goes to the end if it is among them, and so does padding for classes that do not exist.
    excluded = (best == target.unsqueeze(1)) | (best >= n_classes)
    last = torch.argsort(excluded.to(torch.uint8), dim=1, stable=True)[:, :n_competitors]
    best, excluded = best.gather(1, last).clamp(max=n_classes - 1), excluded.gather(1, last)
    compared = logits.gather(1, torch.cat([target.unsqueeze(1), best], 1))
    margins = (compared[:, :1] - compared[:, 1:]).clamp(max=far)
    return torch.where(excluded, torch.full_like(margins, far), margins)


def relative_to_mean(values: Tensor, margins: Tensor, valid: Tensor, set_size: int, far: float = FAR / 2) -> Tensor:
    """Values in the unit of the logits, relative to the mean size of a point's margins.

    Args:
        values: shape (n, m).
        margins: from `margins_to_strongest`, shape (n, n_competitors).
        valid: 1 where there is a target, else 0, shape (n,).
        set_size: examples of each point.
        far: size from which a margin does not count.
    """
    sizes = margins.detach().abs()
    counted = (sizes < far).to(sizes.dtype)  # competitors that exist and are not ruled out
    sizes = (sizes * counted).sum(1) / counted.sum(1).clamp_min(1)
    weight = valid.view(-1, set_size)
    size = (sizes.view(-1, set_size) * weight).sum(1) / weight.sum(1).clamp_min(1)
    size = size.unsqueeze(1).expand(-1, set_size).reshape(-1, 1)
    return calmed(values / size.clamp_min(1e-8), size)
