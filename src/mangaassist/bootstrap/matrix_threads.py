"""Keeps matrix products on the thread that asks for them."""

from __future__ import annotations

from threadpoolctl import threadpool_limits


def use_one_matrix_thread() -> None:
    """Limit BLAS to the calling thread, for the rest of the process.

    The products of a chat turn take well under a millisecond. With more threads BLAS keeps the others
    spinning between them, which costs a turn more CPU than everything else it does.
    """
    threadpool_limits(limits=1, user_api="blas")
