"""The programs that the behaviour suite of executors runs."""

from __future__ import annotations

Command = tuple[str, ...]


class Programs:
    """The programs that the suite runs, as commands."""

    def shell(self, script: str) -> Command:
        return ("sh", "-c", script)

    def exits(self, code: int, *, out: str = "", err: str = "") -> Command:
        """Writes ``out``, then ``err``, and exits with ``code``."""
        return self.shell(f"printf '%s' '{out}'; printf '%s' '{err}' >&2; exit {code}")

    def kills_itself(self, number: int) -> Command:
        return self.shell(f"kill -{number} $$; sleep 10")

    def waits(self) -> Command:
        """Says ``began``, then works for a minute; obeys SIGTERM, as does its child."""
        return self.shell("trap 'kill $child; exit 143' TERM; echo began; sleep 60 & child=$!; wait")

    def ignores_term(self) -> Command:
        return self.shell("trap '' TERM; echo began; sleep 60; sleep 60")

    def speaks(self, lines: int) -> Command:
        """One line after another, slowly, on alternating streams."""
        return self.shell(
            f"i=0; while [ $i -lt {lines} ]; do echo out $i; sleep 0.02; echo err $i >&2; sleep 0.02; i=$((i+1)); done"
        )

    def floods(self, size: int) -> Command:
        """``size`` bytes of ``x`` without a newline."""
        return self.shell(f"head -c {size} /dev/zero | tr '\\0' x")

    def shows(self, *names: str) -> Command:
        """The values of variables, a line each."""
        return self.shell("; ".join(f"printf '%s\\n' \"${name}\"" for name in names))

    def shows_working_directory(self) -> Command:
        return self.shell("pwd")

    def missing(self) -> Command:
        return ("no-such-program-anywhere", "--help")
