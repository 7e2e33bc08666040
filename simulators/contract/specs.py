"""Parameter points: what a system's ``Spec`` must have, and how it refuses what is not physical."""

from typing import Protocol


class SpecError(ValueError):
    """A parameter point that is not physical; it carries all problems at once.

    Attributes:
        problems: (field, message) pairs, such as ``("temperature", "must be positive, got -1.0")``.
    """

    def __init__(self, problems: tuple[tuple[str, str], ...]) -> None:
        # The argument as it came, so that the exception survives pickling between processes.
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "; ".join(f"{field}: {message}" for field, message in self.problems)


Rule = tuple[bool, str, str]
"""(holds, field, message): a condition on a field, and what to tell a user where it does not hold."""


def require(*rules: Rule) -> None:
    """Check the rules of a spec.

    Raises:
        SpecError: with every rule that does not hold.
    """
    problems = tuple((field, message) for holds, field, message in rules if not holds)
    if problems:
        raise SpecError(problems)


class Spec(Protocol):
    """One parameter point: a frozen, keyword-only dataclass whose fields are the dataset's columns."""

    @property
    def size(self) -> int:
        """Linear size L of the lattice, in sites."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, rows, columns) of one configuration."""
