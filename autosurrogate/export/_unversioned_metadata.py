"""Metadata of the first loss files, which had no schema version, with the keys of now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def from_unversioned(old: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of the first files, which have no schema version, with the keys of now.

    Keys that are missing stay missing, so that the reader names them.
    """
    new = {"mixture": None, "tokenizer": None} | _renamed(
        old, {"made": "created", "spec": "metric_spec", "outputs": "recorded_outputs", "labelled": "labelled_points"}
    )
    network = dict(new.pop("network", {}))
    new["network"] = {
        **_taken(network, "name"),
        **_taken(new, "n_parameters"),
        "settings": network,
    }
    training = dict(new.pop("training", {}))
    new["training"] = {**_taken(training, "objective"), "settings": training}
    if "generator" in new:
        new["generated_points"] = _renamed(new.pop("generator"), {"low": "lowest", "high": "highest"})
    quality = _renamed(
        _taken(new, "held_out", "held_out_recorded", "gradient_norm", "suggested_weight", "descent"),
        {"held_out": "held_out_generated", "gradient_norm": "gradient_norms", "descent": "descent_check"},
    )
    for points in ("held_out_generated", "held_out_recorded"):
        if points in quality:
            quality[points] = _renamed(quality[points], {"regular": "regular_loss", "set_sizes": "by_set_size"})
            quality[points]["by_set_size"] = [
                _renamed(row, {"size": "set_size", "loss": "loss_spearman", "regular": "regular_loss_spearman"})
                for row in quality[points].get("by_set_size", [])
            ]
    if "gradient_norms" in quality:
        quality["gradient_norms"] = _renamed(quality["gradient_norms"], {"regular": "regular_loss"})
    if "descent_check" in quality:
        names = {"regular_gain": "regular_loss_gain"}
        quality["descent_check"] = {"weight": None} | _renamed(quality["descent_check"], names)
    new["quality"] = {"held_out_recorded": None} | quality
    return new


def _renamed(old: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in old.items()}


def _taken(content: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Those of the keys that are there, removed from `content`."""
    return {key: content.pop(key) for key in keys if key in content}
