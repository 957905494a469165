"""The embedded text model: an answer composed from the facts alone, without a network or a key."""
