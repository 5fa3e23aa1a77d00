"""What malloc does with memory that is given back, where a CPU computes."""

import ctypes

import jax

M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
"""Of malloc.h."""


def keep_freed() -> None:
    """Keep what is given back for whoever asks next, where CPUs compute and malloc is glibc's.

    XLA takes the temporaries of a program as one block, and gives it back at the end. Blocks over
    32 MB, and those of threads with an arena of their own, are mapped anew each time, and the
    kernel zeroes every page of them: a fifth of a training step. Threads that run already keep
    their arenas; `GLIBC_TUNABLES=glibc.malloc.arena_max=1` gives them none.
    """
    if jax.default_backend() != "cpu":
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, -1)
    mallopt(M_ARENA_MAX, 1)
