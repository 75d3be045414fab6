"""How well a loss ranks points and improves the metric, and what its network cannot see."""
