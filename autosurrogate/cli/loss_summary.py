"""What `fit`, `export` and `inspect` print of a loss."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rich.table import Table

from autosurrogate.cli.printing import agreement_table, console, print_lines, shown_path
from autosurrogate.export.metadata import LossMetadata, Quality


def print_summary(
    metadata: LossMetadata,
    argument_names: Sequence[str],
    sizes: Mapping[str, int],
    lines: Sequence[tuple[str, str]] = (),
) -> None:
    """Print the quality of a loss, its files, and how to use it.

    Args:
        metadata: of the loss.
        argument_names: what the loss is called with, in a trainer's words.
        sizes: path to bytes of each file; the first is the TorchScript file.
        lines: names and texts to add.
    """
    out = console()
    out.print(correlation_table(metadata))
    out.print()
    written = [("written", f"{shown_path(path)}  {n_bytes / 1024:.0f} KiB") for path, n_bytes in sizes.items()]
    print_lines(out, [*summary_lines(metadata), *written, *lines])
    out.print()
    weight = metadata.quality.suggested_weight
    out.print(usage(shown_path(next(iter(sizes))), argument_names, weight), markup=False, soft_wrap=True)


def correlation_table(metadata: LossMetadata) -> Table:
    """The rank correlations of a loss and of the regular loss on held-out points."""
    sections = {
        title: {f"{metadata.metric} loss": held_out.loss, "regular loss": held_out.regular_loss}
        for title, held_out in (
            ("held-out generated", metadata.quality.held_out_generated),
            ("held-out recorded", metadata.quality.held_out_recorded),
        )
        if held_out is not None
    }
    return agreement_table(sections)


def summary_lines(metadata: LossMetadata) -> list[tuple[str, str]]:
    """The other facts of a loss: name and text."""
    quality, labelled, generated = metadata.quality, metadata.labelled_points, metadata.generated_points
    check, norms = quality.descent_check, quality.gradient_norms
    settings = ", ".join(f"{name} {value}" for name, value in metadata.network.settings.items())
    by_size = ", ".join(
        f"{100 * row.loss_spearman:.1f} for {row.set_size}" for row in quality.held_out_generated.by_set_size
    )
    weighted = "loss" if check.weight == 1 or math.isnan(check.weight) else f"{check.weight:g} * loss"
    dropped = ""
    if labelled.n_dropped:
        reasons = ", ".join(f"{count} {reason}" for reason, count in labelled.dropped.items())
        dropped = f"; {labelled.n_dropped} dropped ({reasons}), for example: {labelled.example}"
    return [
        *([("mixture", metadata.mixture)] if metadata.mixture is not None else []),
        *([("set sizes", f"Spearman {by_size} examples a set, on held-out generated points")] if by_size else []),
        *_worst_strata(quality),
        (
            "descent check",
            f"metric improves by {check.gain:.4g} along regular loss + {weighted}, by {check.regular_loss_gain:.4g} "
            f"along the regular loss alone ({check.n_points} points moved by a distance of {check.distance:.3g})",
        ),
        ("network", f"{metadata.network.name} ({settings}), {metadata.network.n_parameters:,} parameters"),
        ("gradient norm", f"{norms.loss:.3g}, regular loss {norms.regular_loss:.3g} (medians over points)"),
        ("suggested weight", f"{quality.suggested_weight:g} beside the regular loss"),
        ("labelled points", f"{labelled.n_points:,}{dropped}"),
        (
            "generated points",
            f"metric from {generated.lowest:.4g} to {generated.highest:.4g}, coverage of this range "
            f"{100 * generated.coverage:.0f} %",
        ),
        (
            "search",
            f"{metadata.search.n_complete} trials completed, {metadata.search.n_pruned} pruned; trial "
            f"{metadata.search.trial} exported; seed {metadata.seed}",
        ),
    ]


def _worst_strata(quality: Quality) -> list[tuple[str, str]]:
    """The kind of held-out points that the loss orders worst."""
    lines = []
    for where, held_out in (("generated", quality.held_out_generated), ("recorded", quality.held_out_recorded)):
        row = min(held_out.strata, key=lambda row: row.loss_somers_d, default=None) if held_out is not None else None
        if row is not None:
            text = (
                f"{row.name}: Somers' D {100 * row.loss_somers_d:.1f}, regular loss "
                f"{100 * row.regular_loss_somers_d:.1f} ({row.n_points} held-out {where} points)"
            )
            lines.append(("worst stratum", text))
    return lines


def usage(path: str, argument_names: Sequence[str], weight: float) -> str:
    """The three lines of Python that use a loss.

    Args:
        path: the loss's file.
        argument_names: what the loss is called with, in a trainer's words.
        weight: of the loss beside the regular loss.
    """
    factor = "" if weight == 1 else f"{weight:g} * "
    return f"""import torch
loss_fn = torch.jit.load({path!r})
loss = regular_loss + {factor}loss_fn({", ".join(argument_names)})  # lower is better"""
