"""Helpers that do not depend on metrics, tasks or losses."""
