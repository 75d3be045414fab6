"""What `fit`, `check` and `evaluate` do, step by step."""
