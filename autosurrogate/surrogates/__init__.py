"""Surrogate networks for metrics: one file for each task, with the task's name.

A network has two parts. `features(...)` computes what the metric depends on; it has no parameters, so that it and the
gradients of its columns are computed once for all trials. `score(...)` is learned: it maps the features of a point to
its loss. Each file also wraps a network as the loss that is exported: `SampleLoss` and `SetLoss`. The parts of a task's
networks are in files that begin with an underscore and the task's name.
"""

from autosurrogate.surrogates._build import build, feature_settings, loss_arguments, networks, settings
from autosurrogate.surrogates._contracts import Loss, Network
from autosurrogate.surrogates._monotone_mlp import MonotoneMLP

__all__ = [
    "Loss",
    "MonotoneMLP",
    "Network",
    "build",
    "feature_settings",
    "loss_arguments",
    "networks",
    "settings",
]
