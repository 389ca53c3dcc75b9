"""Man pages and shell completions, made from the app, the kits and the error classes.

``python -m bonectl.cli.manual`` rewrites ``man/`` and ``completions/``; a test compares them with what is
committed. Typer's command tree is walked as it is: none of the man-page tools for click can see it.
"""

import sys
from pathlib import Path

from bonectl.cli import completions, geometry_page, man_pages, stream_page, tree
from bonectl.core import kit


def files() -> dict[str, str]:
    """Every generated file by its path below the top folder."""
    everything = tree.commands()
    made = {"man/bonectl.1": man_pages.main_page(everything)}
    made |= {f"man/bonectl-{c.name}.1": man_pages.command_page(c) for c in everything}
    made |= {f"man/bonectl-{k}.7": man_pages.kit_page(k) for k in kit.NAMES if kit.names(k)}
    summary, sections = stream_page.content()
    made["man/bonectl-stream.5"] = man_pages.page("bonectl-stream", 5, summary, sections)
    summary, sections = geometry_page.content()
    made["man/bonectl-geometry-errors.7"] = man_pages.page("bonectl-geometry-errors", 7, summary, sections)
    made |= {
        "completions/bonectl.bash": completions.bash(everything),
        "completions/_bonectl": completions.zsh(everything),
        "completions/bonectl.fish": completions.fish(everything),
    }
    return made


def main(folder: Path) -> None:
    """Write every generated file below `folder`, and remove pages that are no longer made."""
    made = files()
    for old in (folder / "man").glob("bonectl*"):
        if f"man/{old.name}" not in made:
            old.unlink()
    for name, text in made.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="ascii" if name.startswith("man/") else "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
