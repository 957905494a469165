"""Staged rollouts: the policy as data, and the decision from sufficient statistics."""
