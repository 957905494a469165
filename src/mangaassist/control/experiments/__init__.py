"""Experiments: their life, the metrics of their answers, the analysis and its report."""
