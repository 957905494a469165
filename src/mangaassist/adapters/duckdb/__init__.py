"""Aggregation of large files by DuckDB, in this process."""
