"""Retry rules: the first match wins, budgets stay apart, delays spread out."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import override_settings

from container_manager import conf
from container_manager.retry import BUILTIN, PolicyError, RetryPolicy, Rule, policy_from_settings
from container_manager.states import Outcome


def test_the_first_rule_that_matches_decides() -> None:
    policy = policy_from_settings({
        "rules": [
            {"exit_codes": [75], "retry": True},
            {"outcomes": ["app_error"], "exit_codes": [2], "retry": False},
            {"outcomes": ["app_error"], "retry": True},
        ]
    })  # fmt: skip
    for exit_code, allowed in ((75, True), (2, False), (1, True)):
        assert policy.allows(Outcome.APP_ERROR, exit_code, reruns=0, infra_reruns=0) == allowed
    assert not policy.allows(Outcome.TIMEOUT, 143, reruns=0, infra_reruns=0), "what no rule matches is not run again"


def test_infrastructure_and_application_have_budgets_of_their_own() -> None:
    policy = RetryPolicy(rules=(Rule(retry=True),), max_reruns=1, max_infra_reruns=2)
    assert policy.allows(Outcome.APP_ERROR, 1, reruns=0, infra_reruns=9)
    assert not policy.allows(Outcome.APP_ERROR, 1, reruns=1, infra_reruns=0)
    assert policy.allows(Outcome.INFRA_ERROR, None, reruns=9, infra_reruns=1)
    assert not policy.allows(Outcome.INFRA_ERROR, None, reruns=0, infra_reruns=2)


@pytest.mark.parametrize("outcome", [Outcome.APP_ERROR, Outcome.OOM, Outcome.TIMEOUT, Outcome.CONFIG_ERROR])
def test_by_default_only_infrastructure_failures_are_run_again(outcome: Outcome) -> None:
    assert not BUILTIN[""].allows(outcome, 1, reruns=0, infra_reruns=0)
    assert BUILTIN[""].allows(Outcome.INFRA_ERROR, None, reruns=0, infra_reruns=0)
    assert BUILTIN["on_failure"].allows(outcome, 1, reruns=0, infra_reruns=0) == (outcome != Outcome.CONFIG_ERROR)
    assert not BUILTIN["never"].allows(Outcome.INFRA_ERROR, None, reruns=0, infra_reruns=0)


def test_delays_grow_to_a_limit_with_full_jitter() -> None:
    policy = RetryPolicy(first_delay=2, longest_delay=60)
    for tries, ceiling in ((1, 2), (2, 4), (3, 8), (10, 60), (1000, 60)):
        delays = [policy.delay_seconds(tries) for _ in range(200)]
        assert 0 <= min(delays) < ceiling * 0.2
        assert ceiling * 0.8 < max(delays) <= ceiling


def test_everything_wrong_with_a_policy_is_told() -> None:
    with pytest.raises(PolicyError) as caught:
        policy_from_settings({"rule": [], "rules": [{"outcomes": ["oops"], "retry": True}, {"exit_codes": [1]}]})
    assert len(caught.value.messages) == 3


def test_a_policy_of_the_settings_is_known_by_its_name_beside_the_built_in_ones() -> None:
    with override_settings(CONTAINER_MANAGER={"RETRY_POLICIES": {"mine": {"max_reruns": 7, "first_delay": 0.5}}}):
        policies = conf.retry_policies()
    assert set(policies) == {"", "default", "never", "on_failure", "mine"}
    assert (policies["mine"].max_reruns, policies["mine"].first_delay) == (7, 0.5)
    assert not policies["mine"].allows(Outcome.APP_ERROR, 1, reruns=0, infra_reruns=0), "it has no rules"


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"max_reruns": -1}, "max_reruns is -1"),
        ({"max_infra_reruns": 1.5}, "max_infra_reruns is 1.5"),
        ({"longest_delay": "1 h"}, "longest_delay is '1 h'"),
        ({"first_delay": True}, "first_delay is True"),
        ({"rules": [{"retry": 1}]}, "rule 0: retry is 1"),
        ({"rules": [{"retry": True, "exit_codes": ["x"]}]}, "rule 0"),
        ({"rules": ["app_error"]}, "rule 0"),
        ({"max_rerun": 3}, "unknown key 'max_rerun'"),
    ],
)
def test_a_wrong_policy_says_which_part_is_wrong(values: dict[str, Any], wrong: str) -> None:
    with pytest.raises(PolicyError, match=re.escape(wrong)):
        policy_from_settings(values)
