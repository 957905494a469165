"""The rollout policy and its decisions."""
