"""Random streams that depend on what they are for, and on nothing that happened before."""

from hashlib import sha256

import torch


def stream(seed: int, purpose: str, epoch: int = 0) -> torch.Generator:
    """A CPU generator for one purpose of one member in one epoch.

    Equal arguments give equal streams on every worker and after every restart. The numbers are drawn on the CPU
    whatever device trains, so that the device does not change them.
    """
    digest = sha256(f"{purpose}/{seed}/{epoch}".encode()).digest()
    # manual_seed takes a signed 64-bit number; 63 bits stay clear of its sign.
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
