"""Metrics of other libraries, written `library:metric?parameter=value`: a module for each library."""

from autosurrogate.registry.libraries._lookup import LIBRARIES, find

__all__ = ["LIBRARIES", "find"]
