"""Metrics as users write them, and what the program prints of them."""
