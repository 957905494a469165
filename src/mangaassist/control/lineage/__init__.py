"""Where an answer came from, and making it again."""
