"""Groups whose datasets were made in the same way: what is left out together to look at a family never seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

MIN_FAMILIES = 3
"""With fewer, leaving one out says nothing of the next."""


def family_groups(known: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Group → name of its family-group, from pairs of a group and the family of one of its datasets.

    A group shares rows, so it is never cut: one whose datasets are of several families joins these. Family-groups are
    the connected components, named after all their families.
    """
    # A service imports this room, and has no scipy.
    from scipy.cluster.hierarchy import DisjointSet

    pairs = sorted(set(known))
    joined = DisjointSet()
    for group, family in pairs:
        joined.add(("group", group))
        joined.add(("family", family))
        joined.merge(("group", group), ("family", family))
    members: dict[tuple[str, str], list[str]] = defaultdict(list)
    for family in sorted({family for _, family in pairs}):
        members[joined["family", family]].append(family)
    return {group: " + ".join(members[joined["group", group]]) for group, _ in pairs}
