"""Random images of shapes with predictions of every quality, for segmentation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate.examples import Examples
from autosurrogate.tasks._draw import Draw

IGNORE_INDEX = -100
MIN_CLASSES, MAX_CLASSES = 2, 8
MIN_SIDE, MAX_SIDE = 8, 32  # of an image, in pixels
MOST_NUMBERS = 3_000_000  # logits of a call; the more images, the smaller they are
MAX_SHAPES = 6  # of an image
MAX_INVENTED = 2  # shapes that only the prediction has
EMPTY = 0.03  # fraction of images without a shape; in a tenth of the sets up to 0.9
LEAST_MARGIN = 0.05  # by which the predicted class is ahead, before logits are scaled


def generate(severity: Tensor, draw: Draw, set_size: int) -> Examples:
    """Images and logits of sets that share a severity, see `Segmentation.generate`.

    Returns:
        preds float16, whose argmax is the generated prediction; target int64.
    """
    n_classes = int(draw.log_uniform(MIN_CLASSES, MAX_CLASSES + 1, 1).item())
    most = int((MOST_NUMBERS / (len(severity) * set_size * n_classes)) ** 0.5)
    most = min(max(most, MIN_SIDE), MAX_SIDE)
    height, width = draw.log_uniform(MIN_SIDE, most + 1, 2).int().tolist()
    canvas = _Canvas(draw, len(severity), set_size, n_classes, height, width)
    scene = _scene(canvas)
    target = scene.painted(canvas)
    predicted = _mistaken(scene, severity.repeat_interleave(set_size), canvas)
    return Examples(_logits(predicted, target, canvas).half(), _with_ignored(target, canvas))


@dataclass(frozen=True)
class _Canvas:
    """The sizes of a call, and random numbers for its images.

    Args:
        draw: source of all randomness.
        n_sets: number of sets.
        set_size: images a set.
        n_classes: of all of them.
        height: pixels.
        width: pixels.
    """

    draw: Draw
    n_sets: int
    set_size: int
    n_classes: int
    height: int
    width: int

    @property
    def n(self) -> int:
        """Number of images."""
        return self.n_sets * self.set_size

    def of_sets(self, values: Tensor) -> Tensor:
        """What each set has, shape (n_sets, ...), for each of its images, shape (n, ...)."""
        return values.repeat_interleave(self.set_size, 0)

    def strength(self, low: float, high: float) -> Tensor:
        """Log-uniform numbers, one for each set, shape (n, 1, 1)."""
        return self.of_sets(self.draw.log_uniform(low, high, self.n_sets, 1, 1))

    def some(self, fraction: float | Tensor) -> Tensor:
        """A random selection of about that fraction of the images, bool (n, 1, 1)."""
        return self.draw.uniform(self.n, 1, 1) < fraction

    def some_sets(self, fraction: float) -> Tensor:
        """The images of a random selection of about that fraction of the sets, bool (n, 1, 1)."""
        return self.of_sets(self.draw.uniform(self.n_sets, 1, 1) < fraction)

    def pixels(self) -> Tensor:
        """Evenly in [0, 1), shape (n, height, width)."""
        return self.draw.uniform(self.n, self.height, self.width)

    def patches(self, n_channels: int) -> Tensor:
        """Smooth noise of about standard deviation 1, shape (n, n_channels, height, width)."""
        size = self.draw.log_uniform(2.5, 8.0, 1).item()  # of a patch, in pixels
        n_rows, n_columns = (max(2, round(side / size) + 1) for side in (self.height, self.width))
        coarse = 1.4 * self.draw.normal(self.n, n_channels, n_rows, n_columns)
        return F.interpolate(coarse, (self.height, self.width), mode="bilinear", align_corners=True)

    def any_class(self, *shape: int) -> Tensor:
        """Any class, shape (n, *shape)."""
        return (self.draw.uniform(self.n, *shape) * self.n_classes).long()


@dataclass(frozen=True)
class _Scene:
    """Superellipses with a rough outline (discs, boxes and blobs) before a ground.

    Args:
        row: of the centre, in pixels, (n, n_shapes).
        column: of the centre, in pixels, (n, n_shapes).
        across: half the size along the first axis, in pixels, (n, n_shapes).
        along: half the size along the second axis, in pixels, (n, n_shapes).
        angle: of the axes, in radians, (n, n_shapes).
        power: 1 a rhomb, 2 an ellipse, more nearly a box, (n, n_shapes).
        label: class, (n, n_shapes).
        present: whether the shape is in the image, bool (n, n_shapes).
        outline: how far inside a pixel is more than by the shape alone, in its size, (n, n_shapes, height, width).
        ground: class of what no shape covers, (n, height, width).
    """

    row: Tensor
    column: Tensor
    across: Tensor
    along: Tensor
    angle: Tensor
    power: Tensor
    label: Tensor
    present: Tensor
    outline: Tensor
    ground: Tensor

    def painted(self, canvas: _Canvas) -> Tensor:
        """Class of each pixel, shape (n, height, width); later shapes cover earlier ones."""
        rows, columns = torch.arange(canvas.height)[:, None] + 0.5, torch.arange(canvas.width)[None] + 0.5
        shapes = (self.row, self.column, self.across, self.along, self.angle, self.power, self.label, self.present)
        painted = self.ground
        for k in range(self.row.shape[1]):
            row, column, across, along, angle, power, label, present = (v[:, k, None, None] for v in shapes)
            down, right = rows - row, columns - column
            first = ((down * angle.cos() + right * angle.sin()) / across).abs().clamp_min(1e-3)
            second = ((right * angle.cos() - down * angle.sin()) / along).abs().clamp_min(1e-3)
            inside = (first**power + second**power) ** (1 / power) < 1 + self.outline[:, k]
            painted = torch.where(inside & present, label, painted)
        return painted


def _scene(canvas: _Canvas) -> _Scene:
    """Shapes of all sizes; those of a set are of the same few classes."""
    draw, n = canvas.draw, canvas.n
    n_shapes = 1 + int(draw.uniform(1).item() * MAX_SHAPES)
    frequency = (draw.log_uniform(0.1, 2.0, canvas.n_sets, 1) * draw.normal(canvas.n_sets, canvas.n_classes)).softmax(
        -1
    )
    frequency[:, 0] *= 0.1  # class 0 is the ground, mostly
    label = torch.multinomial(canvas.of_sets(frequency), n_shapes, replacement=True, generator=draw.generator)
    size = canvas.strength(0.08, 0.4)[:, :, 0] * (canvas.height * canvas.width) ** 0.5
    across, along = (size * draw.log_uniform(0.6, 1.6, n, n_shapes) for _ in range(2))
    roughness = canvas.strength(0.02, 0.5)[..., None]
    ground = torch.zeros(n, canvas.height, canvas.width, dtype=torch.int64)
    fraction_empty = torch.where(canvas.some_sets(0.1), canvas.strength(0.2, 0.9), EMPTY)
    has_shapes = canvas.draw.uniform(n, 1) >= fraction_empty[:, :, 0]
    regions = canvas.any_class(3).gather(1, canvas.patches(3).argmax(1).flatten(1)).view_as(ground)
    return _Scene(
        row=draw.uniform(n, n_shapes) * canvas.height,
        column=draw.uniform(n, n_shapes) * canvas.width,
        across=across.clamp_min(1.0),
        along=along.clamp_min(1.0),
        angle=draw.uniform(n, n_shapes) * torch.pi,
        power=draw.log_uniform(1.0, 10.0, n, n_shapes),
        label=label,
        present=(draw.uniform(n, n_shapes) < 0.85) & has_shapes,
        outline=roughness * canvas.patches(n_shapes),
        ground=torch.where(canvas.some_sets(0.3), regions, ground),
    )


def _mistaken(scene: _Scene, severity: Tensor, canvas: _Canvas) -> Tensor:
    """The classes that are predicted, shape (n, height, width): the scene with errors of a few kinds."""
    draw = canvas.draw
    preference = canvas.of_sets(1.5 * draw.normal(canvas.n_sets, 9)) + draw.normal(canvas.n, 9)
    fraction = preference.softmax(-1) * (2.0 * severity)[:, None]
    miss, move, swell, roughen, confuse, invent, patch, salt, coarsen = fraction[:, :, None].unbind(1)
    shapes = _displaced(scene, miss, move, swell, roughen, confuse, canvas)
    label = _with_invented(shapes, invent, canvas).painted(canvas)
    label = torch.where(canvas.some(coarsen[..., None]), _coarsened(label, 2 + int(3 * draw.uniform(1).item())), label)
    # Patches and single pixels of other classes: one class an image, or any.
    other = torch.where(canvas.some_sets(0.5), canvas.any_class(1, 1), canvas.any_class(canvas.height, canvas.width))
    wrong = torch.sigmoid(1.7 * canvas.patches(1)[:, 0]) < patch[..., None]  # so that about that fraction is below
    label = torch.where(wrong, canvas.any_class(1, 1), label)
    label = torch.where(canvas.pixels() < salt[..., None], other, label)
    return _renamed(label, severity, canvas)


def _displaced(
    scene: _Scene, miss: Tensor, move: Tensor, swell: Tensor, roughen: Tensor, confuse: Tensor, canvas: _Canvas
) -> _Scene:
    """The shapes with errors of their own; a whole set may have them all too large, or all moved one way."""
    draw, shape = canvas.draw, scene.row.shape

    def normal() -> Tensor:
        return draw.normal(*shape) + canvas.of_sets(draw.normal(canvas.n_sets, 1))

    size = (scene.across * scene.along).sqrt()
    distance = move * (0.7 * size + 1)
    grown = torch.exp(0.8 * swell * normal())
    other = (scene.label + 1 + (draw.uniform(*shape) * (canvas.n_classes - 1)).long()) % canvas.n_classes
    return replace(
        scene,
        row=scene.row + distance * normal(),
        column=scene.column + distance * normal(),
        across=scene.across * grown,
        along=scene.along * grown * torch.exp(0.3 * swell * draw.normal(*shape)),
        angle=scene.angle + move * draw.normal(*shape),
        label=torch.where(draw.uniform(*shape) < confuse, other, scene.label),
        present=scene.present & (draw.uniform(*shape) >= miss),
        outline=scene.outline + roughen[..., None, None] * canvas.patches(shape[1]),
    )


def _with_invented(scene: _Scene, invent: Tensor, canvas: _Canvas) -> _Scene:
    """The scene with a few more shapes, which only the prediction has."""
    more = _scene(canvas)
    joined = {
        name: torch.cat([getattr(scene, name), getattr(more, name)[:, :MAX_INVENTED]], 1)
        for name in ("row", "column", "across", "along", "angle", "power", "label", "outline")
    }
    invented = canvas.draw.uniform(*more.present[:, :MAX_INVENTED].shape) < invent
    return replace(scene, **joined, present=torch.cat([scene.present, invented], 1))


def _coarsened(label: Tensor, step: int) -> Tensor:
    """The same class for blocks of step x step pixels."""
    rows, columns = ((torch.arange(side) // step * step + step // 2).clamp_max(side - 1) for side in label.shape[1:])
    return label[:, rows][:, :, columns]


def _renamed(label: Tensor, severity: Tensor, canvas: _Canvas) -> Tensor:
    """Some classes are predicted as another one in a whole set; nearly all of them where the severity is largest."""
    draw = canvas.draw
    fraction = canvas.draw.uniform(canvas.n_sets, 1) * 0.5 * severity[:: canvas.set_size, None]
    fraction = fraction + ((severity[:: canvas.set_size, None] - 0.7) / 0.3).clamp_min(0)
    shape = (canvas.n_sets, canvas.n_classes)
    own = torch.arange(canvas.n_classes).expand(shape)
    other = (own + 1 + (draw.uniform(*shape) * (canvas.n_classes - 1)).long()) % canvas.n_classes
    ground = torch.where(draw.uniform(canvas.n_sets, 1) < 0.5, 0, other)
    name = torch.where(draw.uniform(*shape) < fraction, torch.where(own > 0, ground, other), own)
    return canvas.of_sets(name).gather(1, label.flatten(1)).view_as(label)


def _logits(predicted: Tensor, target: Tensor, canvas: _Canvas) -> Tensor:
    """Logits (n, n_classes, height, width) whose largest is the predicted class's.

    Close behind stand the target's class and those of the pixels around, each by a gap of its own. How sure a set is
    where it is right has nothing to do with how sure it is where it is wrong.
    """
    shape = (canvas.n, canvas.n_classes, canvas.height, canvas.width)
    logits = canvas.strength(0.1, 1.5)[:, None] * canvas.draw.normal(*shape)
    logits += canvas.strength(0.1, 1.5)[:, None] * canvas.patches(canvas.n_classes)
    sure = torch.where(predicted == target, canvas.strength(0.3, 10.0), canvas.strength(0.3, 10.0))
    field = canvas.of_sets(canvas.draw.uniform(canvas.n_sets, 1, 1)) * canvas.patches(1)[:, 0]
    sure = LEAST_MARGIN + sure * field.exp() * (0.1 - canvas.pixels().clamp_min(1e-3).log() * canvas.some_sets(0.5))
    sure = sure * torch.where(canvas.some_sets(0.7), _alike(predicted), torch.ones(()))
    height = logits.amax(1) + sure
    for label, fraction in ((target, 0.8), (predicted.roll(1, 1), 0.5), (predicted.roll(-1, 2), 0.5)):
        gap = canvas.strength(0.3, 6.0) * (0.1 - canvas.pixels().clamp_min(1e-3).log())
        _raise_to(logits, label, torch.where(canvas.some_sets(fraction), height - gap, -torch.inf))
    _raise_to(logits, predicted, height)
    return (logits - height[:, None]) * canvas.strength(0.3, 4.0)[:, None]


def _alike(label: Tensor) -> Tensor:
    """Between 0.1 at pixels unlike those around and 1, shape of `label`."""
    padded = F.pad(label[:, None].float(), (1, 1, 1, 1), mode="replicate")[:, 0].long()
    height, width = label.shape[1:]
    same = torch.zeros(label.shape)
    for down, right in ((0, 1), (1, 0), (1, 2), (2, 1)):
        same += padded[:, down : down + height, right : right + width] == label
    return 0.1 + 0.9 * (same / 4).square()


def _raise_to(logits: Tensor, label: Tensor, height: Tensor) -> None:
    """Lift the logit of each pixel's class `label` to `height`, both (n, height, width), where it is lower."""
    logits.scatter_reduce_(1, label[:, None], height[:, None], "amax")


def _with_ignored(target: Tensor, canvas: _Canvas) -> Tensor:
    """The target; in some sets, patches or the borders of shapes have none."""
    patches = canvas.patches(1)[:, 0] > canvas.strength(0.7, 2.0)
    borders = (_alike(target) < 1) & (canvas.pixels() < 0.8)
    left_out = (canvas.some_sets(0.2) & patches) | (canvas.some_sets(0.1) & borders)
    left_out[:, 0, 0] = False  # every image has some target
    return target.masked_fill(left_out, IGNORE_INDEX)
