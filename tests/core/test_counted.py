"""The grammar of counted things, and that messages use it."""

import re
from pathlib import Path

import bonectl
from bonectl.core.counted import counted


def test_one_and_many():
    assert [counted(n, "pixel") for n in (0, 1, 2)] == ["0 pixels", "1 pixel", "2 pixels"]
    assert [counted(n, "axis is", "axes are") for n in (1, 3)] == ["1 axis is", "3 axes are"]


def test_no_message_says_1_pixels_are():
    """A number in braces with a plural and its verb behind it is wrong for one; `counted` knows both."""
    plural = re.compile(
        r"\{[a-z_.()]*(count|len|sum|missing|empty|clamped|found|size)[^{}]*\} [a-z]+s (are|were|do|have)\b"
    )
    package = Path(bonectl.__file__).parent
    said = [
        f"{path.relative_to(package)}: {line.strip()}"
        for path in package.rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if plural.search(line) and "counted(" not in line and "AssertionError" not in line
    ]
    assert said == []
