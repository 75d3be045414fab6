"""Labelled points: generated or recorded, kept in a run's folder."""
