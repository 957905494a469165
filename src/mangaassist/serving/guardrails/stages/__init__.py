"""One file per stage; add one by copying its neighbour and naming it in `bootstrap/guardrails.py`."""
