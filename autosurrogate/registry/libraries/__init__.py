"""Metrics of other libraries, as `library:metric?parameter=value`: one module a library."""

from autosurrogate.registry.libraries._find import LIBRARIES, find

__all__ = ["LIBRARIES", "find"]
