"""How many samples are read, or put through a network without learning, at a time."""

CHUNK = 512
"""Samples of each member; at 1,024 sites they are 2 MiB, which a core's own cache holds."""
FEATURES_AT_ONCE = 2**23
"""512 samples of L = 128: 32 MiB as numbers, and thirty times as much on their way through a network."""


def rows_at_once(most: int, features: int) -> int:
    """At most ``most`` samples of ``features`` numbers each; fewer of large lattices, so that memory stays bounded."""
    return max(1, min(most, FEATURES_AT_ONCE // features))
