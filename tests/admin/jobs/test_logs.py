"""The output on a page: lines, where they begin, which are shown, what is new, and all of it as a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from container_manager.admin.logs import selecting
from container_manager.admin.logs.lines import LONGEST, Place, read_lines
from container_manager.admin.logs.selecting import Cursor, Excerpt, Wanted, read_excerpt
from container_manager.models import JobAttempt
from container_manager.specs import Stream
from tests.admin.jobs.conftest import Ran, add_chunk, err, out

pytestmark = pytest.mark.django_db


def texts(attempt: JobAttempt) -> list[str]:
    return [line.text for line in read_lines(attempt)]


def shown(excerpt: Excerpt) -> list[str]:
    return [line.line.text for line in excerpt.lines]


def address(attempt: JobAttempt, tail: str = "log/") -> str:
    return f"/admin/container_manager/containerjob/{attempt.job_id}/{tail}"


def test_lines_go_on_over_entries_and_chunks_and_end_where_the_stream_changes(ran: Ran) -> None:
    attempt = ran([out(b"one\ntw"), out(b"o")], [out(b"!\nthree"), err(b"bad\n"), out(b"last")])
    assert texts(attempt) == ["one", "two!", "three", "bad", "last"]
    lines = list(read_lines(attempt))
    assert [line.is_open for line in lines] == [False, False, False, False, True]
    assert [line.number for line in lines] == [1, 2, 3, 4, 5]
    assert lines[3].stream is Stream.STDERR


def test_each_line_can_be_begun_from(ran: Ran) -> None:
    attempt = ran([out(b"one\ntw"), out(b"o")], [out(b"!\nthree"), err(b"bad\n"), out(b"last")])
    lines = list(read_lines(attempt))
    for place, line in enumerate(lines):
        again = read_lines(attempt, line.start, line.number - 1)
        assert [(other.start, other.number, other.text) for other in again] == [
            (other.start, other.number, other.text) for other in lines[place:]
        ]


def test_a_line_shows_what_a_terminal_would(ran: Ran) -> None:
    attempt = ran([out(b"10%\r50%\rdone\r\n\xff\n" + b"x" * (LONGEST + 1) + b"\n")])
    assert texts(attempt) == ["done", "\ufffd", "x" * LONGEST + " […]"]


def test_the_line_after_a_gap_says_so(ran: Ran) -> None:
    attempt = ran([out(b"head")])
    add_chunk(attempt, 9, out(b"tail\n"))
    assert [(line.text, line.is_after_gap) for line in read_lines(attempt)] == [("head", False), ("tail", True)]


def test_the_last_lines_come_first_and_earlier_ones_when_asked(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selecting, "SHOWN", 3)
    monkeypatch.setattr(selecting, "BEFORE_LINKED", 1)
    attempt = ran([out(b"".join(b"%d\n" % number for number in range(8)))])
    last = read_excerpt(attempt, Wanted())
    assert (shown(last), last.has_earlier, last.has_later) == (["5", "6", "7"], True, False)
    earlier = read_excerpt(attempt, Wanted(before=last.first))
    assert (shown(earlier), earlier.has_earlier, earlier.has_later) == (["2", "3", "4"], True, True)
    first = read_excerpt(attempt, Wanted(before=earlier.first))
    assert (shown(first), first.has_earlier) == (["0", "1"], False)
    around = read_excerpt(attempt, Wanted(around=earlier.lines[0].line.start))
    assert shown(around) == ["1", "2", "3"] or shown(around) == ["2", "3", "4"]
    assert [line.line.text for line in around.lines if line.is_linked] == ["2"]


def test_only_one_stream_or_what_is_searched_for(ran: Ran) -> None:
    attempt = ran([out(b"Loading\n"), err(b"Disk \x1b[31mfull\x1b[0m\n"), out(b"disk ok\n")])
    assert shown(read_excerpt(attempt, Wanted(stream=Stream.STDERR))) == ["Disk \x1b[31mfull\x1b[0m"]
    assert len(shown(read_excerpt(attempt, Wanted(find="DISK")))) == 2
    assert len(shown(read_excerpt(attempt, Wanted(find="disk full")))) == 1
    assert shown(read_excerpt(attempt, Wanted(find="nothing"))) == []


def test_following_shows_each_line_once_however_it_arrives(ran: Ran) -> None:
    attempt = ran(status="running")
    entries = [out(b"\x1b[31mone\n"), out(b"two\nth"), out(b"ree\nfo"), err(b"bad\n"), out(b"\x1b[0mend\n")]
    cursor: Cursor | None = None
    complete: list[tuple[str, str]] = []
    for arrived in range(1, len(entries) + 1):
        add_chunk(attempt, 0, *entries[:arrived])
        excerpt = read_excerpt(attempt, Wanted(after=cursor))
        complete += [(line.line.text, str(line.html)) for line in excerpt.lines if not line.line.is_open]
        cursor = Cursor.read(str(excerpt.cursor))
        assert cursor == excerpt.cursor
    whole = [(line.line.text, str(line.html)) for line in read_excerpt(attempt, Wanted()).lines]
    assert complete == whole
    assert [text for text, _ in complete] == ["\x1b[31mone", "two", "three", "fo", "bad", "\x1b[0mend"]
    assert 'class="cm-colour-1">two' in complete[1][1]


@pytest.mark.parametrize("text", ["", "x", "1-2", "1-2-3", "1-2-3_x_", "-1-2-3_1_", "1-2-3_1_<b>", "²-1-1_1_"])
def test_a_cursor_that_is_none_is_passed_over_or_harmless(ran: Ran, text: str) -> None:
    cursor = Cursor.read(text)
    assert cursor is None or str(cursor.style) == ""
    read_excerpt(ran([out(b"one\n")]), Wanted(after=cursor))


def test_the_page_is_asked_for_what_is_new_until_the_attempt_has_ended(boss: Client, ran: Ran) -> None:
    attempt = ran([out(b"one\n")], status="running")
    first = boss.get(address(attempt)).json()
    assert "one" in first["html"]
    assert not first["is_over"]
    nothing = boss.get(address(attempt), {"after": first["cursor"]}).json()
    assert (nothing["html"], nothing["cursor"]) == ("", first["cursor"])
    add_chunk(attempt, 0, out(b"one\n"), out(b"<two>\n"))
    JobAttempt.objects.filter(pk=attempt.pk).update(finished_at=timezone.now())
    with CaptureQueriesContext(connection) as queries:
        second = boss.get(address(attempt), {"after": first["cursor"]}).json()
    assert len(queries) <= 6, [query["sql"] for query in queries]
    assert "&lt;two&gt;" in second["html"]
    assert "one" not in second["html"]
    assert second["is_over"]
    assert not second["is_reset"]


def test_more_than_is_shown_at_once_stands_alone(boss: Client, ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selecting, "SHOWN", 2)
    attempt = ran([out(b"1\n2\n3\n")], status="running")
    answer = boss.get(address(attempt), {"after": str(Cursor(Place()))}).json()
    assert answer["is_reset"]
    assert answer["html"].count('class="cm-ln') == 2


def test_a_download_has_every_byte_and_says_what_is_missing(boss: Client, ran: Ran) -> None:
    attempt = ran([out(b"\xff\x00<b>\n"), err(b"\x1b[31mbad")])
    add_chunk(attempt, 5, out(b"tail\n"))
    JobAttempt.objects.filter(pk=attempt.pk).update(log_bytes_left_out=12345)
    answer: Any = boss.get(address(attempt, "log/download/"))
    content = b"".join(answer.streaming_content)
    assert content == b"\xff\x00<b>\n\x1b[31mbad\n[... 12345 bytes left out ...]\ntail\n"
    assert answer["Content-Type"].startswith("text/plain")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Disposition"].startswith("attachment; filename=")


@pytest.mark.parametrize("tail", ["log/", "log/download/"])
def test_reading_the_output_takes_its_own_permission(client_of: Callable[..., Client], ran: Ran, tail: str) -> None:
    attempt = ran([out(b"secret\n")])
    assert client_of("view_containerjob").get(address(attempt, tail)).status_code == 403
    assert client_of("view_logs_containerjob").get(address(attempt, tail)).status_code == 403
    assert client_of("view_containerjob", "view_logs_containerjob").get(address(attempt, tail)).status_code == 200


@pytest.mark.parametrize("number", ["2", "x", "-1", "9" * 30])
def test_an_attempt_that_is_not_there_is_not_found(boss: Client, ran: Ran, number: str) -> None:
    assert boss.get(address(ran([out(b"x")])), {"attempt": number}).status_code == 404
