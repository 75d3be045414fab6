"""Helpers that know nothing of metrics, tasks or losses."""
