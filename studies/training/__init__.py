"""Does training with a loss raise the metric? The same models, from the same seeds, with one loss or another."""
