"""MangaAssist: a shopping assistant for a manga store and its control plane."""
