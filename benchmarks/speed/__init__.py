"""How long things take: each measure in a file, whose variants are timed side by side in one run."""
