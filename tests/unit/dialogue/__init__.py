"""Understanding messages in their conversation."""
