"""A parameter point that is not physical is refused with every problem at once."""

import pickle

import pytest

from simulators import contract


def test_require_reports_every_rule_at_once() -> None:
    rules = (
        (False, "size", "must be even, got 5"),
        (True, "field", "fine"),
        (False, "temperature", "must be positive"),
    )
    with pytest.raises(contract.SpecError, match="size: must be even, got 5; temperature: must be positive") as caught:
        contract.require(*rules)
    assert caught.value.problems == (("size", "must be even, got 5"), ("temperature", "must be positive"))
    assert pickle.loads(pickle.dumps(caught.value)).problems == caught.value.problems
    contract.require((True, "size", "fine"))
