"""A run: its folder, its options, its budget, and what it reports while it goes on."""
