"""
What deserves another try, and when: pure rules over outcome and exit code, first match wins.

Three budgets stay apart: failed launches (``max_retries`` on the job), reruns after an
infrastructure failure, and reruns after the application failed.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from container_manager.states import Outcome

INFRASTRUCTURE: Final = frozenset({Outcome.INFRA_ERROR, Outcome.IMAGE_ERROR})


@dataclass(frozen=True, slots=True)
class Rule:
    """Matches when the outcome is one of ``outcomes`` and the exit code one of ``exit_codes``; empty = any."""

    retry: bool
    outcomes: frozenset[Outcome] = frozenset()
    exit_codes: frozenset[int] = frozenset()

    def matches(self, outcome: Outcome, exit_code: int | None) -> bool:
        return (not self.outcomes or outcome in self.outcomes) and (not self.exit_codes or exit_code in self.exit_codes)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """
    Ordered rules and their budgets. What no rule matches is not run again.

    Delays are in seconds: exponential from ``first_delay``, at most ``longest_delay``,
    with full jitter.
    """

    rules: tuple[Rule, ...] = ()
    max_reruns: int = 3
    max_infra_reruns: int = 3
    first_delay: float = 2.0
    longest_delay: float = 600.0

    def allows(self, outcome: Outcome, exit_code: int | None, *, reruns: int, infra_reruns: int) -> bool:
        """Whether an attempt that ended so is followed by another."""
        rule = next((rule for rule in self.rules if rule.matches(outcome, exit_code)), None)
        if rule is None or not rule.retry:
            return False
        if outcome in INFRASTRUCTURE:
            return infra_reruns < self.max_infra_reruns
        return reruns < self.max_reruns

    def delay_seconds(self, tries: int) -> float:
        """Seconds before the next try after ``tries`` failed ones: full jitter, so that a crowd spreads out."""
        ceiling = min(self.longest_delay, self.first_delay * 2 ** max(0, min(tries, 30) - 1))
        return random.uniform(0, ceiling)  # noqa: S311 - spreading load, not a secret


_INFRASTRUCTURE_RULE: Final = Rule(retry=True, outcomes=INFRASTRUCTURE)
_FAILURES: Final = frozenset({Outcome.APP_ERROR, Outcome.OOM, Outcome.TIMEOUT})

DEFAULT: Final = RetryPolicy(rules=(_INFRASTRUCTURE_RULE,))
BUILTIN: Final[dict[str, RetryPolicy]] = {
    "": DEFAULT,
    "default": DEFAULT,
    "never": RetryPolicy(),
    "on_failure": RetryPolicy(rules=(_INFRASTRUCTURE_RULE, Rule(retry=True, outcomes=_FAILURES))),
}
"""``default`` reruns after infrastructure failures only, ``on_failure`` also when the application failed."""


class PolicyError(Exception):
    """Everything wrong with one policy in the settings."""

    def __init__(self, messages: list[str]) -> None:
        self.messages = messages
        super().__init__("; ".join(messages))


def policy_from_settings(values: Mapping[str, Any]) -> RetryPolicy:
    """
    The policy that a mapping of the settings describes.

    ``{"rules": [{"outcomes": ["app_error"], "exit_codes": [75], "retry": True}], "max_reruns": 5}``.
    ``PolicyError`` lists what is wrong.
    """
    known = {"rules", "max_reruns", "max_infra_reruns", "first_delay", "longest_delay"}
    errors = [f"unknown key {key!r}, known: {', '.join(sorted(known))}" for key in values if key not in known]
    numbers = {key: value for key, value in values.items() if key in known and key != "rules"}
    for key, value in numbers.items():
        kinds = int if key.startswith("max_") else (int, float)
        if not isinstance(value, kinds) or isinstance(value, bool) or value < 0:
            errors.append(f"{key} is {value!r}; give a number from 0 up")
    rules: list[Rule] = []
    for position, rule in enumerate(values.get("rules", ())):
        try:
            rules.append(_rule(**rule))
        except (ValueError, TypeError) as error:
            errors.append(f"rule {position}: {error}; a rule has retry, outcomes and exit_codes")
    if errors:
        raise PolicyError(errors)
    return RetryPolicy(rules=tuple(rules), **numbers)


def _rule(*, retry: bool, outcomes: Sequence[str] = (), exit_codes: Sequence[int] = ()) -> Rule:
    if not isinstance(retry, bool):
        raise TypeError(f"retry is {retry!r}, not True or False")
    return Rule(
        retry=retry,
        outcomes=frozenset(Outcome(outcome) for outcome in outcomes),
        exit_codes=frozenset(int(code) for code in exit_codes),
    )
