"""The embedded search index: immutable generations on disk, exact dense search, BM25, exact filters."""

from mangaassist.adapters.embedded.search_index.builder import IndexBuilder, add_vectors
from mangaassist.adapters.embedded.search_index.index import EmbeddedSearchIndex
from mangaassist.adapters.embedded.search_index.layout import IndexLayout

__all__ = ["EmbeddedSearchIndex", "IndexBuilder", "IndexLayout", "add_vectors"]
