"""What steps a pipeline may have: the commands with their options, as the command line tells them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bonectl.core import kit, shipped
from bonectl.core.spec import parse_sum
from bonectl.errors import UsageError

Scalar = bool | int | float | str
Value = Scalar | tuple[Scalar, ...]

_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option of a command.

    Parameters
    ----------
    flag : str
        As it is typed, such as ``--voxel-size``.
    kind : type
        bool for a flag, else int, float or str.
    choices : tuple of str
        The words that it takes, where only some are.
    kit : str, optional
        The kit whose parts its value names.
    repeats : bool
        Whether it may be given several times: a list.
    is_input : bool
        Whether it says what the command reads: then a default of it is for the first step alone.
    """

    flag: str
    kind: type
    choices: tuple[str, ...] = ()
    kit: str | None = None
    repeats: bool = False
    is_input: bool = False

    def check(self, value: Value, where: str) -> None:
        """Refuse a value that the command would refuse before it reads anything.

        Raises
        ------
        UsageError
            Naming `where` it stands, and what would be right.
        """
        if isinstance(value, tuple) and not self.repeats:
            raise UsageError(f"{where} is a list; give one value")
        for one in value if isinstance(value, tuple) else (value,):
            self._check_one(one, where)

    def words(self, value: Value) -> list[str]:
        """The option as words of a command line; none for a flag that is off."""
        if self.kind is bool:
            return [self.flag] if value else []
        return [word for one in (value if isinstance(value, tuple) else (value,)) for word in (self.flag, _typed(one))]

    def _check_one(self, value: Scalar, where: str) -> None:
        if not self._fits(value):
            raise UsageError(f"{where} = {value!r}; give {_KINDS[self.kind]}")
        if self.choices and str(value) not in self.choices:
            near = kit.suggestion(str(value), self.choices)
            raise UsageError(f"{where} = {value!r}{near}; give one of {', '.join(self.choices)}")
        if self.kit is not None and isinstance(value, str) and "{" not in value and not _is_file(value):
            try:
                kit.check(self.kit, parse_sum(value))
            except UsageError as error:
                raise UsageError(f"{where}: {error}") from error

    def _fits(self, value: Scalar) -> bool:
        if self.kind is bool or isinstance(value, bool):
            return isinstance(value, bool) and self.kind is bool
        if self.kind is str:
            return True  # a number typed without quotes
        if isinstance(value, str):
            return False
        return self.kind is float or isinstance(value, int)


def _typed(value: Scalar) -> str:
    return value if isinstance(value, str) else repr(value)


def _is_file(value: str) -> bool:
    """Whether a part may be a file instead: a trained network."""
    return value.endswith(".safetensors") or "/" in value or shipped.is_name(value)


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command that can be a step: it reads one stack.

    Parameters
    ----------
    name : str
    options : mapping
        By the name in a pipeline file: the flag without its dashes.
    writes : bool
        Whether it writes a stack; else it prints text.
    stack_by : str
        An option that makes one that prints text write a stack; empty where there is none.
    prints : mapping
        Suffixes of the text that it prints, with the words that ask for it.
    estimates : bool
        Whether it has ``--dry-run``.
    device : str
        Where it computes when nobody says; empty where it has no such option.
    """

    name: str
    options: Mapping[str, Option]
    writes: bool
    stack_by: str = ""
    prints: Mapping[str, tuple[str, ...]]
    estimates: bool = False
    device: str = ""

    def option(self, name: str, where: str, beside: Iterable[str] = ()) -> Option:
        """The option of that name.

        Parameters
        ----------
        name : str
        where : str
            What a message begins with.
        beside : iterable of str
            What else could have been meant.

        Raises
        ------
        UsageError
            When there is none; the message names the nearest.
        """
        if name not in self.options:
            near = kit.suggestion(name.replace("_", "-"), (*self.options, *beside))
            raise UsageError(f"{where}: {self.name} has no option {name!r}{near}")
        return self.options[name]


Catalogue = Mapping[str, Command]
