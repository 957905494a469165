"""Questions with their facts, and the answers the composer gives."""
