"""The search for the best network: an Optuna study and where its trials run."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from autosurrogate.search.search import Search
    from autosurrogate.search.space import Space
    from autosurrogate.search.trial_record import TrialRecord

__all__ = ["Search", "Space", "TrialRecord"]
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__, submod_attrs={"search": ["Search"], "space": ["Space"], "trial_record": ["TrialRecord"]}
)
