"""Parts working together on real files and processes."""
