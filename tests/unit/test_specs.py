"""Names and labels of executions, and the outcome of what an engine saw."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from container_manager.models.log import pack, unpack
from container_manager.services.outcomes import explain, outcome_of
from container_manager.specs import (
    LABEL_INSTALLATION,
    LABEL_JOB,
    ExecutionState,
    Handle,
    JobSpec,
    LogEntry,
    Observation,
    Stream,
)
from container_manager.states import Outcome

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def spec(**values: object) -> JobSpec:
    return JobSpec(**{"installation": "abcdefgh", "job_id": UUID(int=1), "attempt": 1, "command": ("true",), **values})  # type: ignore[arg-type]


def ended(exit_code: int | None, reason: Outcome | None = None) -> Observation:
    return Observation(
        handle=Handle("x"), installation="x", job_id=uuid4(), attempt=1, state=ExecutionState.EXITED,
        exit_code=exit_code, reason=reason, finished_at=NOW,
    )  # fmt: skip


def test_a_name_is_deterministic_and_short_enough_for_every_engine() -> None:
    assert spec().name == f"cm-abcdefgh-{UUID(int=1).hex}-1"
    assert len(spec(attempt=99_999).name) <= 50
    assert spec(attempt=2).name != spec().name


def test_a_users_labels_never_override_ours() -> None:
    labels = spec(user_labels={LABEL_JOB: "stolen", LABEL_INSTALLATION: "stolen", "team": "x"}).labels
    assert (labels[LABEL_JOB], labels[LABEL_INSTALLATION], labels["team"]) == (str(UUID(int=1)), "abcdefgh", "x")


def test_the_digest_tells_specifications_apart() -> None:
    assert spec().digest == spec().digest
    assert len({spec().digest, spec(command=("false",)).digest, spec(environment={"A": "1"}).digest}) == 3


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [
        (ended(0), Outcome.OK),
        (ended(1), Outcome.APP_ERROR),
        (ended(137), Outcome.APP_ERROR),
        (ended(137, Outcome.OOM), Outcome.OOM),
        (ended(127, Outcome.CONFIG_ERROR), Outcome.CONFIG_ERROR),
        (ended(None, Outcome.LOST), Outcome.LOST),
    ],
)
def test_an_outcome_is_the_engines_word_or_the_exit_code_and_137_alone_means_nothing(
    seen: Observation, outcome: Outcome
) -> None:
    assert outcome_of(seen, killed_by="", killed_at=None) == outcome
    assert bool(explain(outcome, seen)) == (outcome is not Outcome.OK)


def test_a_stop_counts_only_when_the_end_came_after_it() -> None:
    before, after = NOW - timedelta(seconds=1), NOW + timedelta(seconds=1)
    assert outcome_of(ended(137), killed_by="timeout", killed_at=before) == Outcome.TIMEOUT
    assert outcome_of(ended(0), killed_by="cancel", killed_at=before) == Outcome.CANCELLED
    assert outcome_of(ended(0), killed_by="cancel", killed_at=after) == Outcome.OK


def test_output_of_any_bytes_survives_its_frames() -> None:
    entries = [
        LogEntry(Stream.STDOUT, b"\x00\xff\xfe plain", NOW),
        LogEntry(Stream.STDERR, b"", None),
        LogEntry(Stream.STDOUT, "ü".encode()[:1], NOW),
    ]
    assert list(unpack(b"".join(map(pack, entries)))) == entries


def test_the_time_of_an_entry_is_kept_to_the_microsecond() -> None:
    moments = [NOW + timedelta(microseconds=number * 999_983) for number in range(5_000)]
    packed = b"".join(pack(LogEntry(Stream.STDOUT, b"", moment)) for moment in moments)
    assert [entry.at for entry in unpack(packed)] == moments


def test_an_entry_of_a_time_before_all_time_has_none() -> None:
    [entry] = unpack(pack(LogEntry(Stream.STDERR, b"x", datetime(1969, 1, 1, tzinfo=UTC))))
    assert entry == LogEntry(Stream.STDERR, b"x", None)


def test_the_container_knows_its_job_and_the_user_cannot_change_that() -> None:
    environment = spec(environment={"CM_JOB_ID": "stolen", "A": "1"}, attempt=4).container_environment()
    assert environment == {"A": "1", "CM_JOB_ID": str(UUID(int=1)), "CM_ATTEMPT": "4"}


@pytest.mark.parametrize("killed_by", ["cancel", "timeout"])
def test_without_the_engines_time_a_stop_that_was_sent_is_believed(killed_by: str) -> None:
    seen = replace(ended(143), finished_at=None)
    expected = {"cancel": Outcome.CANCELLED, "timeout": Outcome.TIMEOUT}[killed_by]
    assert outcome_of(seen, killed_by=killed_by, killed_at=NOW) == expected


def test_a_stop_that_came_too_late_leaves_what_the_engine_says() -> None:
    after = NOW + timedelta(seconds=1)
    assert outcome_of(ended(137, Outcome.OOM), killed_by="timeout", killed_at=after) == Outcome.OOM
    assert outcome_of(ended(3), killed_by="timeout", killed_at=after) == Outcome.APP_ERROR
    assert "memory" in explain(Outcome.OOM, ended(137, Outcome.OOM))
    assert explain(Outcome.APP_ERROR, ended(3)) == "Exit code 3."
    assert explain(Outcome.APP_ERROR, ended(139)) == "Exit code 139 (SIGSEGV)."
    assert explain(Outcome.APP_ERROR, ended(137)).startswith("Exit code 137 (SIGKILL): ")
    assert explain(Outcome.APP_ERROR, ended(255)) == "Exit code 255."
