"""Detection of blood cells."""

from __future__ import annotations

from studies.models.detector import EXPERIMENTS, focal_loss, giou_loss
from studies.training._comparison import Rival, by_metrics

METRICS = ("coco_ap",)
RIVALS = {  # more of what the regular loss has already
    "GIoU": Rival("Rezatofighi et al., CVPR 2019", giou_loss),
    "focal": Rival("Lin et al., ICCV 2017", focal_loss),
}


WEIGHTS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # the best of 0.3 to 10 were at the ends
COMPARISONS = {"detection": by_metrics(EXPERIMENTS["detector"], METRICS, RIVALS, weights=WEIGHTS)}
