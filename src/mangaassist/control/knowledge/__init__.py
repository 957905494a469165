"""What the assistant knows: catalogues taken in, and index generations built from them."""
