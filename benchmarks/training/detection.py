"""Detection of blood cells."""

from __future__ import annotations

from benchmarks.models.detector import EXPERIMENTS, focal_loss, giou_loss
from benchmarks.training._comparison import Rival, by_metrics

METRICS = ("coco_ap",)
RIVALS = {  # more of what the regular loss has already
    "GIoU": Rival("Rezatofighi et al., CVPR 2019", giou_loss),
    "focal": Rival("Lin et al., ICCV 2017", focal_loss),
}


COMPARISONS = {"detection": by_metrics(EXPERIMENTS["detector"], METRICS, RIVALS)}
