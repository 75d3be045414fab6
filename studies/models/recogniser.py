"""A small recogniser of scene text words, with two heads: frames for CTC, or output positions that attend.

Words are those of IIIT 5K-Word (`text_recognition/`), case-insensitive: 26 letters and 10 digits. It trains on the
official training words and on words rendered in the fonts of the machine (Debian has fonts-dejavu, -liberation,
-freefont, -lato and -noto-core): so many that the longest training sees each about twice: a model that knows its
training words by heart has no errors left to improve. Of the official test words every sixth is for validation.
The few words of more than 15 characters are left out.
"""

from __future__ import annotations

import gzip
import io
import json
import random
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from torch import Tensor, nn

from autosurrogate.examples import Examples
from studies.models._experiment import Data, Experiment

CHARACTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
LAST = len(CHARACTERS)  # the blank of CTC, or the end of a word
N_POSITIONS = 16  # a word and its end
HEIGHT, WIDTH = 16, 64
N_RENDERED = 100_000
N_REPEATS = 3  # of each real training word, beside the rendered ones
FAMILIES = ("DejaVu", "Liberation", "FreeSans", "FreeSerif", "FreeMono", "NotoSans-", "NotoSerif-", "Ubuntu", "Lato")


def load(folder: Path, *, ends: bool, trained: Sequence[str] = ("rendered", "photographed")) -> dict[str, Data]:
    """The splits: image uint8 (n, 16, 64), target (n, 16), -100 pads.

    Args:
        folder: of the real data.
        ends: whether a word's target has an end.
        trained: kinds of words to train on.
    """
    with np.load(folder / "text_recognition" / "iiit5k_h32.npz") as file:
        arrays = dict(file)
    photographed = list(_words(arrays, "train"))
    words = N_REPEATS * photographed if "photographed" in trained else []
    if "rendered" in trained:
        words = _rendered(_vocabulary(folder, [word for _, word in photographed])) + words
    test = list(_words(arrays, "test"))
    random.Random(0).shuffle(test)
    splits = {"train": words, "validation": test[::6]}
    splits["test"] = [test[i] for i in range(len(test)) if i % 6]
    return {name: _data(words, ends) for name, words in splits.items()}


def _words(arrays: dict[str, np.ndarray], split: str) -> Iterator[tuple[Image.Image, str]]:
    jpegs, offsets = arrays[f"{split}_jpeg"], arrays[f"{split}_offsets"]
    for label, start, end in zip(arrays[f"{split}_labels"], offsets, offsets[1:], strict=False):
        if len(label) < N_POSITIONS:
            yield _small(Image.open(io.BytesIO(jpegs[start:end].tobytes()))), str(label).lower()


def _small(image: Image.Image) -> Image.Image:
    return image.convert("L").resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR, reducing_gap=2.0)


def _data(words: Sequence[tuple[Image.Image, str]], ends: bool) -> Data:
    images = torch.from_numpy(np.stack([np.asarray(image) for image, _ in words]))
    target = torch.full((len(words), N_POSITIONS), -100)
    for row, (_, word) in enumerate(words):
        tokens = [CHARACTERS.index(character) for character in word] + [LAST] * ends
        target[row, : len(tokens)] = torch.tensor(tokens)
    return {"image": images, "target": target}


def _vocabulary(folder: Path, labels: list[str]) -> list[str]:
    """Words to render: those of the training images, and of the English half of the translations."""
    with gzip.open(folder / "nmt" / "multi30k.train.jsonl.gz", "rt", encoding="utf-8") as lines:
        sentences = [json.loads(line)["en"].lower().split() for line in lines]
    plain = {"".join(c for c in word if c in CHARACTERS)[: N_POSITIONS - 1] for words in sentences for word in words}
    return labels + sorted(plain - {""})


def _rendered(vocabulary: Sequence[str]) -> list[tuple[Image.Image, str]]:
    """Words, and some strings of any characters, in all fonts, of any contrast, slant and sharpness."""
    chance = random.Random(0)
    fonts = [ImageFont.truetype(path, size) for path in _font_files() for size in (20, 28)]
    images = []
    for _ in range(N_RENDERED):
        word = chance.choice(vocabulary)
        if chance.random() < 0.25:
            word = "".join(chance.choices(CHARACTERS, k=chance.randint(1, 10)))
        font = chance.choice(fonts) if fonts else ImageFont.load_default(chance.choice((20, 28)))
        images.append(
            (_drawn(chance.choice((word, word.upper(), word.upper(), word.capitalize())), font, chance), word)
        )
    return images


def _font_files() -> list[str]:
    """Latin fonts of the machine; without any, the one that comes with Pillow is used."""
    folders = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".fonts")
    files = sorted(path for folder in folders if folder.is_dir() for path in folder.rglob("*.ttf"))
    return [str(path) for path in files if path.name.startswith(FAMILIES) and "Math" not in path.name]


def _drawn(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, chance: random.Random) -> Image.Image:
    left, top, right, bottom = font.getbbox(text)
    margins = [chance.randint(0, 5) for _ in range(4)]
    size = int(right - left) + margins[0] + margins[1], int(bottom - top) + margins[2] + margins[3]
    paper = chance.randint(0, 255)
    ink = (paper + chance.choice((-1, 1)) * chance.randint(60, 200)) % 256
    image = Image.new("L", size, paper)
    ImageDraw.Draw(image).text((margins[0] - left, margins[2] - top), text, fill=ink, font=font)
    slant = chance.gauss(0, 0.15)
    image = image.transform(
        size, Image.Transform.AFFINE, (1, slant, -slant * size[1] / 2, 0, 1, 0), Image.Resampling.BILINEAR,
        fillcolor=paper,
    )  # fmt: skip
    image = _small(image.filter(ImageFilter.GaussianBlur(chance.uniform(0, 1.5))))
    noise = np.random.default_rng(chance.getrandbits(32)).normal(0, chance.uniform(0, 12), (HEIGHT, WIDTH))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


class Recogniser(nn.Module):
    """Convolutions to 32 frames, a recurrent layer over them, and a head.

    Args:
        attends: whether 16 positions attend to the frames; else the frames themselves are classified.
    """

    def __init__(self, *, attends: bool) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            *_block(1, 24, (2, 2)), *_block(24, 48, (2, 1)), *_block(48, 64, (2, 1)), *_block(64, 96, (2, 1))
        )
        self.recurrent = nn.GRU(96, 64, batch_first=True, bidirectional=True)
        self.queries = nn.Parameter(torch.randn(N_POSITIONS, 128) / 8) if attends else None
        self.frames = nn.Parameter(torch.randn(WIDTH // 2, 128) / 8) if attends else None
        self.key, self.head = nn.Linear(128, 128), nn.Linear(128, LAST + 1)

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, 16, 64) to log-probabilities (n, 32, 37), or (n, 16, 37)."""
        hidden = self.recurrent(self.convolutions(images[:, None]).squeeze(2).transpose(1, 2))[0]
        if self.queries is not None and self.frames is not None:
            weights = (self.queries @ self.key(hidden + self.frames).transpose(1, 2) / 8).softmax(-1)
            hidden = weights @ hidden
        logits: Tensor = self.head(hidden)
        return logits.log_softmax(-1)


def _block(n_in: int, n_out: int, pool: tuple[int, int]) -> list[nn.Module]:
    return [nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU(), nn.MaxPool2d(pool)]


def forward(model: nn.Module, data: Data, *, name: str) -> Examples:
    """The model on a batch, changed at random in training.

    Args:
        model: a `Recogniser`.
        data: image and target.
        name: what the last class is, "blank_id" or "eos_id".
    """
    images = data["image"].float()
    images = images - images.mean((1, 2), keepdim=True)
    images = images / images.std((1, 2), keepdim=True).clamp_min(1)
    if model.training:
        images = _changed(images)
    return Examples(model(images), data["target"], {name: torch.full((len(images),), LAST, device=images.device)})


def _changed(images: Tensor) -> Tensor:
    """Images inverted, stretched, turned, slanted, moved and made noisy, at random."""
    n, device = len(images), images.device
    sign = torch.randint(0, 2, (n, 1, 1), device=device) * 2.0 - 1
    where = torch.zeros(n, 2, 3, device=device)
    where[:, 0, 0], where[:, 1, 1] = 1 + 0.08 * torch.randn((2, n), device=device)
    where[:, 0, 1], where[:, 1, 0] = torch.randn((2, n), device=device) * torch.tensor([[0.05], [0.1]], device=device)
    where[:, 0, 2], where[:, 1, 2] = torch.randn((2, n), device=device) * torch.tensor([[0.03], [0.06]], device=device)
    grid = F.affine_grid(where, [n, 1, HEIGHT, WIDTH], align_corners=False)
    warped = F.grid_sample((images * sign)[:, None], grid, padding_mode="border", align_corners=False)
    return warped.squeeze(1) + 0.1 * torch.randn(images.shape, device=device)


EXPERIMENTS = {
    f"recogniser_{head}": Experiment(
        task="sequence",
        load=partial(load, ends=attends),
        build=partial(Recogniser, attends=attends),
        forward=partial(forward, name="eos_id" if attends else "blank_id"),
        n_steps=1200,
        batch_size=64,
        learning_rate=4e-3,
        checkpoints=(0, 150, 200, 250, 300, 400, 600, 1200),
        n_recorded=500,
    )
    for head, attends in (("ctc", False), ("positions", True))
}
