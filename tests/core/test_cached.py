"""A property that is computed once for each object."""

from __future__ import annotations

from emulator.core.cached import cached


class Counted:
    """Counts how often its property is computed."""

    def __init__(self) -> None:
        self.computed = 0

    @cached
    def number(self) -> int:
        """A number."""
        self.computed += 1
        return self.computed


def test_cached_property_is_computed_once_for_each_object() -> None:
    one, other = Counted(), Counted()
    assert [one.number, one.number, one.computed, other.computed] == [1, 1, 1, 0]
    assert other.number == 1


def test_cached_property_of_class_is_itself() -> None:
    assert isinstance(Counted.number, cached)
    assert Counted.number.__doc__ == "A number."
