"""Claims about running experiments and deciding on them."""
