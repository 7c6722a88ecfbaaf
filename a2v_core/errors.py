"""Errors that the package raises on purpose: one small tree under :class:`A2VError`.

Every message names the thing, the value that was met, and the remedy.
"""


class A2VError(Exception):
    """Base of every error that a2v_core raises on purpose."""


class SpaceError(A2VError, ValueError):
    """A cell, an encoding or the name of a search space is not acceptable."""


class SettingsError(A2VError, ValueError):
    """A setting, a recipe or a notebook parameter is unknown or out of range."""


class DataError(A2VError):
    """A data file or table is damaged or not of the declared form."""


class MissingDataError(DataError):
    """A data file or table is not there; the message tells how to get it."""


class DigestError(DataError):
    """The bytes of a file do not have the registered digest."""


class FetchError(DataError):
    """A download or a copy from the mirror failed."""


class ArtifactError(A2VError):
    """A stored artifact could not be written or does not fit its use."""


class StudyError(A2VError):
    """A page of the study could not be computed or is not of the agreed form."""
