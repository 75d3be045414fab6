"""Labels: a metric run over many points in worker processes."""
