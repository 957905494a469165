"""Training what is learned: intent classifier and ranker; never imported by the API process."""
