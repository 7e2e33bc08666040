"""A parameter point that is not physical is refused with every problem at once."""

import pickle

import pytest

from simulators import contract
from simulators.contract import rules
from simulators.contract.specs import Rule


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


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (rules.finite("field", float("nan")), "must be finite, got nan"),
        (rules.not_zero("coupling", 0.0), "must not be zero, got 0.0"),
        (rules.not_zero("coupling", float("inf")), "must be finite, got inf"),
        (rules.positive("temperature", 0.0), "must be positive, got 0.0"),
        (rules.positive("temperature", float("nan")), "must be finite, got nan"),
        (rules.at_least("size", 1, 2), "must be at least 2, got 1"),
        (rules.two_sublattices(5, -1.0), "must be even with a negative coupling, since two sublattices do not fit"),
    ],
)
def test_shared_rules_say_what_is_wrong(rule: Rule, message: str) -> None:
    holds, _, text = rule
    assert not holds
    assert text.startswith(message)


def test_shared_rules_hold() -> None:
    """Negative control."""
    contract.require(
        rules.finite("field", 0.0),
        rules.not_zero("coupling", -1.0),
        rules.positive("temperature", 0.1),
        rules.at_least("size", 2, 2),
        rules.two_sublattices(5, 1.0),
        rules.two_sublattices(4, -1.0),
    )
