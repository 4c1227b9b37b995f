"""How executors declare the options of their hosts: name, type, default, right form and meaning in one place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from difflib import get_close_matches
from typing import Any, ClassVar, Self

from django.core.exceptions import ValidationError

from container_manager.executors import forms

Declared = Any
"""What stands for an option in its class; its value is of the type that the class says."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """One option of an executor: what it is called, is without being set, must be like, and means."""

    name: str
    default: Any
    check: forms.Check
    help: str
    is_shown: bool = True
    """Whether a wrong value may be shown: no, where it may be a secret put there by mistake."""


def option(default: Any, check: forms.Check, meaning: str, *, is_shown: bool = True) -> Declared:
    """An option of a subclass of ``Options``. A mutable ``default`` is copied for each instance."""
    metadata = {"check": check, "help": meaning, "is_shown": is_shown}
    if isinstance(default, dict):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of one host, typed. A subclass declares each by ``option``."""

    executor: ClassVar[str]
    """What messages call the executor."""

    @classmethod
    def declarations(cls) -> tuple[Declaration, ...]:
        """All its options, those of the class itself before those that it inherits."""
        own = sorted(fields(cls), key=lambda known: known.name not in cls.__annotations__)
        return tuple(
            Declaration(
                known.name,
                known.default if known.default_factory is MISSING else known.default_factory(),
                known.metadata["check"],
                known.metadata["help"],
                known.metadata["is_shown"],
            )
            for known in own
        )

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Self:
        """The typed options. ``ValidationError`` with one message per unknown or wrong option, each naming it."""
        declared = {known.name: known for known in cls.declarations()}
        problems = [*cls._unknown(options, declared), *_wrong(options, declared)]
        if not problems:
            values: dict[str, Any] = {
                name: tuple(given) if isinstance(given, list) else given for name, given in options.items()
            }
            parsed = cls(**values)
            problems = list(parsed.contradictions())
            if not problems:
                return parsed
        raise ValidationError(problems)

    @classmethod
    def _unknown(cls, options: Mapping[str, Any], declared: Mapping[str, Declaration]) -> Iterator[str]:
        for name in options:
            if name not in declared:
                near = get_close_matches(name, declared, n=1)
                hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(declared)}."
                yield f"{cls.executor} has no option {name!r}. {hint}"

    def contradictions(self) -> Iterator[str]:
        """A problem for each two options that cannot be together, though each is right."""
        yield from ()


def _wrong(options: Mapping[str, Any], declared: Mapping[str, Declaration]) -> Iterator[str]:
    for name, known in declared.items():
        if name in options and (problem := known.check(options[name])):
            yield f"{name!r} {problem}, not {options[name]!r}." if known.is_shown else f"{name!r} {problem}."


@dataclass(frozen=True, kw_only=True)
class TimeOptions(Options):
    """Of every host: the worker ends jobs in time. One without a limit gets the default, else the maximum."""

    default_timeout_seconds: int | None = option(
        None, forms.Whole(1, "seconds"), "seconds that jobs may run that name no timeout_seconds"
    )
    max_timeout_seconds: int | None = option(
        None, forms.Whole(1, "seconds"), "seconds that a job may ask for as its timeout_seconds"
    )

    def contradictions(self) -> Iterator[str]:
        yield from super().contradictions()
        yield from self._above_maximum("timeout_seconds")

    def _above_maximum(self, *names: str) -> Iterator[str]:
        for name in names:
            default, most = getattr(self, f"default_{name}"), getattr(self, f"max_{name}")
            if default is not None and most is not None and default > most:
                yield f"'default_{name}' ({default}) must not be above 'max_{name}' ({most})."


@dataclass(frozen=True, kw_only=True)
class ResourceOptions(TimeOptions):
    """Of an engine that holds jobs to their limits; one without a limit gets the default, else the maximum."""

    default_memory_limit: int | None = option(None, forms.Whole(6, "MiB"), "MiB of memory of jobs that ask for none")
    max_memory_limit: int | None = option(None, forms.Whole(6, "MiB"), "MiB of memory that a job may ask for")
    default_cpu_limit: float | None = option(None, forms.cores, "cores of jobs that ask for none")
    max_cpu_limit: float | None = option(None, forms.cores, "cores that a job may ask for")

    def contradictions(self) -> Iterator[str]:
        yield from super().contradictions()
        yield from self._above_maximum("memory_limit", "cpu_limit")


@dataclass(frozen=True, kw_only=True)
class FileOptions(Options):
    """Of an engine that files can be put into and taken from."""

    max_input_size: int | None = option(None, forms.Whole(1, "MiB"), "MiB of all input files of a job")
    max_output_size: int | None = option(None, forms.Whole(1, "MiB"), "MiB of all output files of a job")

    def size_limits(self) -> tuple[int | None, int | None]:
        """Bytes of input and of output files; ``None`` = no limit."""
        given, left = (
            None if mebibytes is None else mebibytes << 20 for mebibytes in (self.max_input_size, self.max_output_size)
        )
        return given, left
