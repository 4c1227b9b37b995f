"""A terminal's colours as HTML: nothing else of what a program writes gets through."""

from __future__ import annotations

import re

import pytest

from container_manager.admin.logs.ansi import Style, plain, render, style_after


def html(text: str, find: str = "") -> str:
    return str(render(text, Style(), find)[0])


def test_colours_become_classes_and_end() -> None:
    assert html("a\x1b[1;31mb\x1b[0mc") == 'a<span class="cm-bold cm-colour-1">b</span>c'
    assert html("\x1b[92mok\x1b[39m.") == '<span class="cm-colour-10">ok</span>.'
    assert html("\x1b[1mb\x1b[22mn") == '<span class="cm-bold">b</span>n'
    assert html("\x1b[mplain") == "plain"


def test_a_style_goes_on_in_the_next_line_and_through_its_text() -> None:
    _, style = render("\x1b[4;33mopen", Style())
    assert style == Style(3, frozenset({"underline"}))
    assert Style.read(str(style)) == style
    assert Style.read("4;33;<script>") == Style()


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "\x1b[31ma", "\x1b[31ma\x1b[0m", "\x1b[31ma\x1b[m", "\x1b[0m\x1b[1mb", "\x1b[0mm\x1b[m\x1b[4mx",
        "\x1b[1m\x1b[22m",
    ],
)  # fmt: skip
def test_the_style_after_a_text_is_the_same_shown_or_not(text: str) -> None:
    for before in (Style(), Style(3, frozenset({"bold"}))):
        assert style_after(text, before) == render(text, before)[1]


@pytest.mark.parametrize(
    ("code", "colour"),
    [("38;5;9", 9), ("38;5;196", 9), ("38;5;240", 8), ("38;5;250", 7), ("38;2;0;0;255", 12), ("38;2;10;10;10", 8)],
)
def test_more_colours_become_the_nearest_of_sixteen(code: str, colour: int) -> None:
    assert html(f"\x1b[{code}mx") == f'<span class="cm-colour-{colour}">x</span>'
    assert html(f"\x1b[{code.replace(';', ':')}mx") == f'<span class="cm-colour-{colour}">x</span>'


def test_a_background_leaves_the_text_as_it_is() -> None:
    assert html("\x1b[48;5;196;41mx") == "x"


@pytest.mark.parametrize(
    "sequence",
    [
        "\x1b[2J", "\x1b[10;20H", "\x1b[?25l", "\x1b]0;title\x07", "\x1b]8;;javascript:alert(1)\x1b\\", "\x1b]0;open",
        "\x1bPq#0\x1b\\", "\x1bc", "\x1b(B", "\x07", "\x00", "\x7f", "\x9b", "\x08", "\x1b[", "\x1b",
    ],
)  # fmt: skip
def test_every_other_control_sequence_is_dropped(sequence: str) -> None:
    assert html(f"a{sequence}") == "a"
    assert plain(f"a{sequence}") == "a"


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>", "\x1b[31m<img src=x onerror=alert(1)>\x1b[0m", "<\x1b[31mscript>", "&lt;b&gt;",
        "\x1b[31\"onmouseover=alert(1)m", "\"'><svg/onload=alert(1)>",
    ],
)  # fmt: skip
def test_no_markup_of_the_output_survives(text: str) -> None:
    for find in ("", "a", "<", "&", "script"):
        left = re.sub(r'<span class="[a-z0-9 -]*">|</span>|</?mark>', "", html(text, find))
        assert "<" not in left
        assert ">" not in left
        assert '"' not in left


def test_what_was_searched_for_is_marked_in_any_case() -> None:
    assert html("Disk full, DISK", "disk") == "<mark>Disk</mark> full, <mark>DISK</mark>"
    assert html("a<b", "<") == "a<mark>&lt;</mark>b"


def test_absurd_sequences_cost_nothing() -> None:
    assert html("\x1b[" + "1;" * 100_000 + "mx") == "x"
    assert html("\x1b[" * 50_000) == ""
    assert html("\x1b]" * 50_000) == ""
