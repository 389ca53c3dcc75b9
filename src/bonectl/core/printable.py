"""Words from files, headers and options as a terminal may be shown them."""

_LONGEST = 300
"""Characters of one word that are shown: a path, or a number of thousands of digits, is recognised by its ends."""

_WHOLE = 600
"""Characters of a message that are shown: a list of thousands of words is recognised by its beginning."""


def printable(text: str, keep: str = "") -> str:
    r"""The text with escapes, as ``\x1b``, for control characters and for those that turn the order of others.

    Parameters
    ----------
    text : str
    keep : str
        Characters that stay as they are, such as the newlines of a table.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def one_line(text: str) -> str:
    """A message on one line, printable; words that are longer than any name, and their sum, cut to their ends."""
    line = printable(" ".join(_cut(word) for line in text.splitlines() for word in line.split(" ")))
    return line if len(line) <= _WHOLE else f"{line[:400]} ... {line[-150:]}"


def _cut(word: str) -> str:
    if len(word) <= _LONGEST:
        return word
    return f"{word[:40]}...{word[-20:]} [{len(word)} characters]"
