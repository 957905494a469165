"""Background work: the worker and the supervisor."""
