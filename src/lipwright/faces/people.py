"""Tracks of one person across shots, grouped by their embeddings.

Agglomerative clustering with average linkage: the two nearest groups are joined until none are
nearer than :data:`SAME_PERSON`. Tracks that are in the picture at the same time are two people,
whatever their embeddings say, and so are groups that hold such tracks.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

SAME_PERSON = 0.47
"""Distance of two tracks' mean embeddings up to which they are one person. ``benchmarks/people.py``
measures how often that is wrong; it was set on the clips that it prints."""


def group(
    embeddings: Sequence[NDArray[np.floating]],
    apart: Collection[tuple[int, int]] = (),
    threshold: float = SAME_PERSON,
) -> list[int]:
    """Sort tracks into people.

    Args:
        embeddings: (n, D) one for each track.
        apart: pairs of tracks that cannot be one person.
        threshold: distance up to which two groups are joined.

    Returns:
        The group of each track; groups are counted from 0 in the order of their first track.
    """
    n = len(embeddings)
    if n == 0:
        return []
    points = np.asarray(embeddings, np.float64)
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    for a, b in apart:
        distance[a, b] = distance[b, a] = np.inf
    np.fill_diagonal(distance, np.inf)
    members: dict[int, list[int]] = {i: [i] for i in range(n)}
    while len(members) > 1:
        a, b = divmod(int(distance.argmin()), n)
        if not distance[a, b] <= threshold:
            break
        a, b = min(a, b), max(a, b)
        # Average linkage (Lance and Williams): the mean over all pairs of members.
        share = len(members[a]) / (len(members[a]) + len(members[b]))
        joined = share * distance[a] + (1.0 - share) * distance[b]
        joined[[a, b]] = np.inf
        distance[a], distance[:, a] = joined, joined
        distance[b], distance[:, b] = np.inf, np.inf
        members[a] += members.pop(b)
    labels = [0] * n
    for number, first in enumerate(sorted(members, key=lambda i: min(members[i]))):
        for i in members[first]:
            labels[i] = number
    return labels
