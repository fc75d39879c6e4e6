"""Where a head's numbers may start in memory."""

ALIGN = 32
"""Blocks start and end on whole cache lines and whole strides of vector code (two AVX-512 registers), so
that a head is computed by the same instructions wherever it stands, and its bits do not depend on its
neighbours."""


def aligned(count: int) -> int:
    """`count` rounded up to a multiple of ALIGN."""
    return -(-count // ALIGN) * ALIGN
