"""Text in the language of man pages."""

import re


def escape(text: str) -> str:
    """Text safe for roff: no escapes, no accidental requests, ASCII hyphens that stay hyphens when copied."""
    text = text.replace("\\", "\\(rs").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    text = text.replace("^", "\\(ha").replace("~", "\\(ti")
    text = "".join(c if ord(c) < 128 else f"\\[u{ord(c):04X}]" for c in text)
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)
