"""Claims about single modules."""
