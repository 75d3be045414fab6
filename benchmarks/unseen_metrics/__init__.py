"""How many metrics that nothing was built for can be fitted: a sample as users write them, in two fixed halves."""
