"""Hybrid retrieval: what is indexed, and how the best chunks are found."""
