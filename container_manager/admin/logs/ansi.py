"""
Colours of a terminal as HTML with classes; nothing else of what a program writes gets through.

Text is escaped, every other control sequence dropped. Colours of the 256 and the 16 million become
the nearest of the sixteen, since a strict policy allows no style of our own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

_TOKEN: Final = re.compile(
    r"\x1b\[(?P<sgr>[0-9;:]*)m"
    r"|\x1b\[[0-?]*[ -/]*[@-~]?"  # any other CSI
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]?"
    r"|[\x00-\x08\x0a-\x1f\x7f-\x9f]"
)
_LONGEST_SGR: Final = 64
_FLAGS: Final = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 9: "strike"}
_ENDS: Final = {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",), 29: ("strike",)}
_EXTENDED: Final = {38, 48}


class Style(NamedTuple):
    """How the text that follows looks. ``colour``: 0 to 15."""

    colour: int | None = None
    flags: frozenset[str] = frozenset()

    @classmethod
    def read(cls, text: str) -> Style:
        """The inverse of ``str``; anything else is no style."""
        return cls().after(text) if re.fullmatch(r"[0-9;]{0,64}", text) else cls()

    def __str__(self) -> str:
        codes = [code for code, flag in _FLAGS.items() if flag in self.flags]
        if self.colour is not None:
            codes.append(30 + self.colour if self.colour < 8 else 82 + self.colour)
        return ";".join(map(str, codes))

    @property
    def classes(self) -> str:
        names = [f"cm-{flag}" for flag in sorted(self.flags)]
        return " ".join(names if self.colour is None else [*names, f"cm-colour-{self.colour}"])

    def after(self, parameters: str) -> Style:
        """The style once ``ESC [ parameters m`` was written."""
        style = self
        codes = iter([int(code or 0) for code in re.split("[;:]", parameters[:_LONGEST_SGR]) if len(code) < 4])
        for code in codes:
            if code in _EXTENDED:
                colour = _extended(codes)
                style = style._replace(colour=colour) if code == 38 else style
            else:
                style = style._plain(code)
        return style

    def _plain(self, code: int) -> Style:
        if code == 0:
            return Style()
        if code in _FLAGS:
            return self._replace(flags=self.flags | {_FLAGS[code]})
        if code in _ENDS:
            return self._replace(flags=self.flags.difference(_ENDS[code]))
        if 30 <= code <= 37 or 90 <= code <= 97:
            return self._replace(colour=code - 30 if code < 90 else code - 82)
        return self._replace(colour=None) if code == 39 else self


def render(text: str, style: Style, find: str = "") -> tuple[SafeString, Style]:
    """``text``, one line that began in ``style``, as HTML with ``find`` marked, and the style after it."""
    parts = []
    for piece, worn in _pieces(text, style):
        style = worn
        if piece:
            marked = _marked(piece, find)
            parts.append(f'<span class="{worn.classes}">{marked}</span>' if worn != Style() else marked)
    # Every piece was escaped by _marked; the classes are of this module.
    return mark_safe("".join(parts)), style  # noqa: S308


def plain(text: str) -> str:
    """``text`` without any control sequence."""
    return _TOKEN.sub("", text)


def style_after(text: str, style: Style) -> Style:
    """The style after ``text``, which is not shown."""
    for match in _TOKEN.finditer(text):
        if match["sgr"] is not None:
            style = style.after(match["sgr"])
    return style


def _pieces(text: str, style: Style) -> Iterator[tuple[str, Style]]:
    position = 0
    for match in _TOKEN.finditer(text):
        yield text[position : match.start()], style
        position = match.end()
        if match["sgr"] is not None:
            style = style.after(match["sgr"])
    yield text[position:], style


def _marked(text: str, find: str) -> str:
    if not find:
        return escape(text)
    found = re.split(f"({re.escape(find)})", text, flags=re.IGNORECASE)
    return "".join(f"<mark>{escape(part)}</mark>" if place % 2 else escape(part) for place, part in enumerate(found))


def _extended(codes: Iterator[int]) -> int | None:
    """The sixteen's nearest to ``5;N`` or ``2;R;G;B``, whose numbers are taken from ``codes``."""
    kind = next(codes, 0)
    if kind == 5:
        number = next(codes, 0)
        if number < 16:
            return number
        if number >= 232:
            return 8 if number < 244 else 7
        red, green, blue = (number - 16) // 36, (number - 16) // 6 % 6, (number - 16) % 6
        return _nearest(red * 51, green * 51, blue * 51)
    if kind == 2:
        return _nearest(next(codes, 0), next(codes, 0), next(codes, 0))
    return None


def _nearest(red: int, green: int, blue: int) -> int:
    strongest = max(red, green, blue)
    if strongest < 48:
        return 8
    bits = sum(bit for bit, part in ((1, red), (2, green), (4, blue)) if part * 5 >= strongest * 3)
    return bits + 8 if strongest > 200 else bits
