"""build_prompt: versioned templates and facts become the text that a hosted model reads."""
