"""Small models trained on real data, and their outputs from early to late in training."""
