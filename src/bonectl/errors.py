"""Errors fit for the user; each class carries the exit status it ends with.

The EXIT STATUS section of the man pages is made from these classes: the first line of a docstring
is what the manual says. Numbers 65 to 77 are those of sysexits.h.
"""


class BonectlError(Exception):
    """a bug in bonectl (please report it with the traceback)"""

    status = 1


class UsageError(BonectlError):
    """usage: the request contradicts itself or the data"""

    status = 2


class DataError(BonectlError):
    """the bytes are not what they claim to be (truncated, junk, NaN, wrong count)"""

    status = 65


class MissingInputError(BonectlError):
    """an input is missing"""

    status = 66


class UnavailableError(BonectlError):
    """a device or an optional package that is needed is not there"""

    status = 69


class OutputError(BonectlError):
    """the output exists already, or cannot be created"""

    status = 73


class WriteError(BonectlError):
    """reading or writing failed (disk full, I/O error)"""

    status = 74


class MemoryShortageError(BonectlError):
    """not enough memory: a smaller slab or volume, or a larger --max-memory, may help"""

    status = 75


class PermissionDeniedError(BonectlError):
    """permission denied"""

    status = 77
