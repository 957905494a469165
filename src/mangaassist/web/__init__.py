"""HTTP surfaces: the API, the chat page."""
