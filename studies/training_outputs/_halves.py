"""Which recordings a change is developed with, and which are looked at once, at the end."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from studies.training_outputs._recording import Recording

HALVES = ("development", "final")


def halves(recordings: Iterable[Recording]) -> dict[str, list[Recording]]:
    """The recordings of each half, by a rule that knows their names alone.

    Those of a family are sorted by the SHA-256 of their names, and taken for development and for the final half in
    turn, so that each family has both.
    """
    of_half: dict[str, list[Recording]] = {half: [] for half in HALVES}
    families: dict[str, list[Recording]] = {}
    for recording in recordings:
        families.setdefault(recording.family, []).append(recording)
    for _, members in sorted(families.items()):
        for rank, recording in enumerate(sorted(members, key=_digest)):
            of_half[HALVES[rank % 2]].append(recording)
    return of_half


def _digest(recording: Recording) -> str:
    return hashlib.sha256(recording.name.encode()).hexdigest()
