"""Errors: every error that a user can cause descends from `AutosurrogateError`.

Each also descends from the built-in exception a caller would catch. The command line prints the message of
any of them on one line and exits with the class's `exit_code`.
"""


class AutosurrogateError(Exception):
    """Base of all errors that a user can cause and fix."""

    exit_code = 2


class MetricError(AutosurrogateError, ValueError):
    """A metric is unknown, wrongly declared, or returns what cannot be ranked."""


class RegistryError(AutosurrogateError, ValueError):
    """A name is already taken by another definition."""


class ShapeError(AutosurrogateError, ValueError):
    """A tensor does not have the shape that is needed."""


class OutputsError(AutosurrogateError, ValueError):
    """A file of recorded outputs cannot be used."""


class LabellingError(AutosurrogateError, RuntimeError):
    """The metric failed on too many points, or cannot be ranked."""


class SpaceError(AutosurrogateError, ValueError):
    """A search space is not valid."""


class SearchError(AutosurrogateError, RuntimeError):
    """A search cannot go on."""


class OptionError(AutosurrogateError, ValueError):
    """An option or argument has a value that cannot be used."""


class LossFileError(AutosurrogateError, ValueError):
    """A file is not a loss that this program exported."""


class ConformanceError(AutosurrogateError, AssertionError):
    """A metric or a task lacks a property that all must have, see `autosurrogate.testing`."""


class QualityError(AutosurrogateError, RuntimeError):
    """The best loss is not good enough to be exported; nothing was written."""

    exit_code = 3
