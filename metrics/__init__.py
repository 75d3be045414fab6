"""Built-in metrics, a file for each.

Their libraries are imported inside the functions: listing the metrics then needs none of them and is quick.
"""
