"""Claims about the shape of the product."""
