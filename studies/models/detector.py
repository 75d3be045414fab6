"""A detector of blood cells: one convolutional network, one box and three class logits for each cell of a grid."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from autosurrogate.examples import Examples
from autosurrogate.tasks._boxes import overlaps
from studies.models._experiment import Data, Experiment

WIDTH, HEIGHT, STRIDE = 160, 120, 8
COLUMNS, ROWS = WIDTH // STRIDE, HEIGHT // STRIDE
N_CLASSES = 3
TYPICAL = 20.0  # pixels, the side of a blood cell
RARE = -4.0  # the initial logit of a class
NEAR = 0.5  # cells, about the centre of an object, where a query of its class is no error
N_BEST = 50  # queries that are returned in evaluation mode
N_VALIDATION = 30  # images of the training split to choose by
TRAIN, VALIDATION, TEST = 0, 1, 2  # the file's own splits


def load(folder: Path) -> dict[str, Data]:
    """BCCD at half its size; the file's validation and test images together are the test split."""
    with np.load(folder / "detection" / "bccd_320x240.npz", allow_pickle=False) as file:
        arrays = dict(file)
    images = torch.stack([_image(arrays, i) for i in range(len(arrays["split"]))])
    target = _target(arrays)
    own = torch.from_numpy(arrays["split"])
    train = (own == TRAIN).nonzero().flatten()
    rows = {
        "train": train[N_VALIDATION:],
        "validation": train[:N_VALIDATION],
        "test": (own != TRAIN).nonzero().flatten(),
    }
    return {split: {"image": images[index], "target": target[index]} for split, index in rows.items()}


def _image(arrays: dict[str, np.ndarray], i: int) -> Tensor:
    """Shape (3, HEIGHT, WIDTH), in [-1, 1]."""
    start, end = arrays["offsets"][i : i + 2]
    with Image.open(io.BytesIO(arrays["jpeg"][start:end].tobytes())) as image:
        pixels = np.asarray(image.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.BOX))
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1) / 127.5 - 1


def _target(arrays: dict[str, np.ndarray]) -> Tensor:
    """Boxes and classes of each image, shape (n_images, M, 5), class -1 pads."""
    n_images = len(arrays["split"])
    counts = np.bincount(arrays["box_image"], minlength=n_images)
    target = np.full((n_images, counts.max(), 5), -1, np.float32)
    for i in range(n_images):
        chosen = arrays["box_image"] == i
        target[i, : counts[i], :4] = arrays["boxes"][chosen] * (WIDTH / 320)
        target[i, : counts[i], 4] = arrays["box_class"][chosen]
    return torch.from_numpy(target)


class Detector(nn.Module):
    """Images (n, 3, HEIGHT, WIDTH) to boxes and logits of each cell of the grid (n, ROWS * COLUMNS, 4 + N_CLASSES)."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _block(3, 16, 2), _block(16, 32, 2), _block(32, width, 2), _block(width, width), _block(width, width, 1, 2),
            _block(width, width), _block(width, width),
        )  # fmt: skip
        self.head = nn.Conv2d(width, 4 + N_CLASSES, 1)
        y, x = torch.meshgrid(torch.arange(ROWS), torch.arange(COLUMNS), indexing="ij")
        self.register_buffer("centres", (torch.stack([x, y], -1).flatten(0, 1) + 0.5) * STRIDE)

    def forward(self, images: Tensor) -> Tensor:
        """Row by row of the grid."""
        outputs = self.head(self.body(images)).flatten(2).transpose(1, 2)
        centres = self.centres + STRIDE * outputs[..., :2]
        sizes = TYPICAL * outputs[..., 2:4].clamp(-4, 4).exp()
        return torch.cat([centres - sizes / 2, centres + sizes / 2, outputs[..., 4:] + RARE], -1)


def _block(n_inputs: int, n_outputs: int, stride: int = 1, dilation: int = 1) -> nn.Module:
    convolution = nn.Conv2d(n_inputs, n_outputs, 3, stride, dilation, dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(n_outputs), nn.ReLU())


def forward(model: nn.Module, batch: Data) -> Examples:
    """All queries, of images turned at random, in training mode; the best scored ones in evaluation mode."""
    images, target = batch["image"], batch["target"]
    if model.training:
        images, target = _turned(images, target)
        return Examples(model(images), target)
    preds = model(images)
    best = preds[..., 4:].amax(-1).topk(N_BEST, 1).indices
    return Examples(preds.gather(1, best[..., None].expand(-1, -1, preds.shape[-1])), target)


def _turned(images: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Each image mirrored, or not, along either axis."""
    boxes = target[..., :4]
    for axis, length in ((0, WIDTH), (1, HEIGHT)):
        mirrored = torch.rand(len(images), device=images.device) < 0.5
        images = torch.where(mirrored[:, None, None, None], images.flip(3 - axis), images)
        turned = boxes.clone()
        turned[..., axis], turned[..., axis + 2] = length - boxes[..., axis + 2], length - boxes[..., axis]
        boxes = torch.where(mirrored[:, None, None], turned, boxes)
    return images, torch.cat([boxes, target[..., 4:]], -1)


def regular_loss(examples: Examples) -> Tensor:
    """Focal loss of the logits, overlap and distance of the boxes, as where objects are points (arXiv 1904.07850)."""
    return focal_loss(examples) + giou_loss(examples) + distance_loss(examples)


@dataclass(frozen=True)
class _Assigned:
    """The true boxes of a batch and the queries that they belong to.

    A true box belongs to the query of the cell that its centre is in; which one follows from that query's place, so the
    losses serve all queries of the grid in their order.
    """

    image: Tensor
    query: Tensor
    boxes: Tensor
    classes: Tensor


def _assigned(target: Tensor) -> _Assigned:
    image, box = (target[..., 4] >= 0).nonzero(as_tuple=True)
    boxes, classes = target[image, box, :4], target[image, box, 4].long()
    cells = ((boxes[:, :2] + boxes[:, 2:]) / 2 / STRIDE).long().clamp_min(0)
    query = cells[:, 1].clamp(max=ROWS - 1) * COLUMNS + cells[:, 0].clamp(max=COLUMNS - 1)
    return _Assigned(image, query, boxes, classes)


def focal_loss(examples: Examples) -> Tensor:
    """Focal loss of the logits by the number of true boxes; cells near an object's centre count less."""
    logits, true = examples.preds[..., 4:], _assigned(examples.target)
    wanted = torch.zeros_like(logits)
    wanted[true.image, true.query, true.classes] = 1
    places = torch.arange(ROWS * COLUMNS, device=logits.device)
    places = (torch.stack([places % COLUMNS, places // COLUMNS], -1) + 0.5) * STRIDE
    centres = (true.boxes[:, :2] + true.boxes[:, 2:]) / 2
    near = (-(places - centres[:, None]).square().sum(-1) / (2 * (NEAR * STRIDE) ** 2)).exp()
    near_centre = torch.zeros_like(logits).transpose(1, 2)
    near_centre = near_centre.index_put((true.image, true.classes), near, accumulate=True).clamp(max=1).transpose(1, 2)
    probability = logits.sigmoid()
    positive = -wanted * (1 - probability) ** 2 * F.logsigmoid(logits)
    negative = -(1 - wanted) * (1 - near_centre) ** 4 * probability**2 * F.logsigmoid(-logits)
    return (positive + negative).sum() / max(len(true.boxes), 1)


def giou_loss(examples: Examples) -> Tensor:
    """1 - generalised overlap, the mean over the true boxes (Rezatofighi et al., CVPR 2019)."""
    true = _assigned(examples.target)
    giou = overlaps(examples.preds[true.image, true.query, None, :4], true.boxes[:, None])[1]
    return (1 - giou).sum() / max(len(true.boxes), 1)


def distance_loss(examples: Examples) -> Tensor:
    """L1 distance of the corners by the true box's sides, the mean over the true boxes."""
    true = _assigned(examples.target)
    sizes = (true.boxes[:, 2:] - true.boxes[:, :2]).clamp_min(1).repeat(1, 2)
    distance = (examples.preds[true.image, true.query, :4] - true.boxes).abs() / sizes
    return distance.mean(1).sum() / max(len(true.boxes), 1)


EXPERIMENTS = {
    "detector": Experiment(
        task="detection",
        load=load,
        build=Detector,
        forward=forward,
        n_steps=600,
        batch_size=16,
        learning_rate=4e-3,
        checkpoints=(10, 20, 35, 50, 70, 100, 150, 300, 600),
        regular_loss=regular_loss,
    )
}
