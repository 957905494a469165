"""The columnar copy of request records and feedback: Parquet files, queried by DuckDB."""
