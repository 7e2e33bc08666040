"""How this process gets memory for tensors."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt."""
LARGEST = 32 << 20
"""The largest threshold that glibc takes."""
KEPT = 512 << 20


def keep_freed() -> None:
    """Let glibc keep up to 512 MiB that have been freed, instead of giving every large tensor back to the system.

    A training step frees all it has allocated, and the next one would have each page of it mapped and zeroed again: a
    tenth to a fifth of table-1's time. Nothing happens with another C library.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST)
        mallopt(M_TRIM_THRESHOLD, KEPT)
