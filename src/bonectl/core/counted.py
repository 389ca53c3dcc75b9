"""The grammar of counted things, in one place."""


def counted(count: int, one: str, many: str | None = None) -> str:
    """A count with its words: ``1 pixel is``, ``2 pixels are``.

    Parameters
    ----------
    count : int
    one : str
        What follows 1, such as "pixel is".
    many : str, optional
        What follows any other number; `one` with an s where not given.
    """
    return f"{count} {one if count == 1 else many or one + 's'}"
