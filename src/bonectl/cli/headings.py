"""Under which heading an option is shown, in ``--help``, in the manual and by zsh: one source for all."""

import re
from typing import Any

from typer.core import TyperCommand

# Headings in their order. What a command does with its data has no list: it is every other option.
INPUT, WHAT, OUTPUT, RESOURCES, SPEECH = "Input", "What is done", "Output", "Resources", "Speech"
ORDER = (INPUT, WHAT, OUTPUT, RESOURCES, SPEECH)

_NAMES = {
    INPUT: "source inputs target scanner axes angles voxel_size input_unit nan mask mask_label label reference samples "
    "teacher any_voxel_size",
    OUTPUT: "output format bare force no_history dry_run as_json style map plot sheet each sd every "
    "picture tensorboard",
    RESOURCES: "device engine backend compile threads max_memory slab tile resume",
    SPEECH: "quiet progress debug help",
}
_HEADING = {name: heading for heading, names in _NAMES.items() for name in names.split()}

# Where one name means another thing in a command.
_HERE = {
    ("reconstruct", "flats"): INPUT,
    ("reconstruct", "darks"): INPUT,
    ("reconstruct", "dead_pixels"): INPUT,
    ("reconstruct", "geometry"): INPUT,
    ("reconstruct", "air"): INPUT,
    ("prepare", "flats"): INPUT,
    ("prepare", "darks"): INPUT,
    ("prepare", "centre"): INPUT,
    ("prepare", "order"): OUTPUT,
    ("simulate", "flats"): OUTPUT,
    ("simulate", "darks"): OUTPUT,
    ("simulate", "frames"): OUTPUT,
    ("simulate", "order"): OUTPUT,
    ("simulate", "unit"): OUTPUT,
    ("denoise", "samples"): WHAT,
    ("phantom", "voxel_size"): WHAT,
    ("train", "init_from"): INPUT,
    ("measure", "window"): OUTPUT,
    ("batch", "init"): INPUT,
    ("batch", "only"): INPUT,
    ("batch", "watch"): INPUT,
    ("batch", "settle"): INPUT,
    ("batch", "until"): INPUT,
    ("batch", "status"): OUTPUT,
    ("batch", "keep_names"): OUTPUT,
    ("batch", "jobs"): RESOURCES,
    ("batch", "retries"): RESOURCES,
    ("batch", "shard"): RESOURCES,
    ("batch", "scheduler"): RESOURCES,
    ("batch", "no_report"): OUTPUT,
    ("batch", "print_script"): OUTPUT,
}


def heading(command: str, option: str) -> str:
    """Heading of an option, by the names of the command's function and of its parameter."""
    return _HERE.get((command, option), _HEADING.get(option, WHAT))


class Headed(TyperCommand):
    """A command whose help groups its options, and says types and ranges in words."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then the options under their headings."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            own = parameter.opts[0].startswith("-")
            group = heading(str(self.name), str(parameter.name)) if own else "Arguments"
            name = record[0] if own else str(parameter.metavar)
            groups.setdefault(group, []).append((name, _in_words(record[1])))
        for group in ("Arguments", *ORDER):
            if group in groups:
                with formatter.section(group):
                    formatter.write_dl(groups[group])


def _in_words(text: str) -> str:
    """Ranges of numbers as people say them."""
    text = re.sub(r"(\S+)<=x<=18446744073709551615", r"\1 or more", text)
    text = re.sub(r"(\S+)<=x<=(\S+?)(?=[\];])", r"\1 to \2", text)
    return re.sub(r"x>=(\S+?)(?=[\];])", r"\1 or more", text)
