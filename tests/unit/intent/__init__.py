"""Claims about classifying intents."""
