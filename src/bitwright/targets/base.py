"""What a target is: one folder that turns a program into a design and says what the design does.

Every target package exports ``TARGET``, a `Target`. Targets are discovered by looking into
``bitwright.targets``, not listed, and do not import each other. Two rules hold for each, and the
contract suite in ``tests/contract`` checks them:

- at its ideal settings a target equals the reference, bit for bit;
- what it measures carries its method (`bitwright.records.Measurement`).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from bitwright.errors import ConfigError, UnknownNameError
from bitwright.ir.program import Program
from bitwright.ir.work import count_work
from bitwright.records import Measurement

Array = npt.NDArray[Any]
Counters = dict[str, int | float]
Progress = Callable[[int, int], None]
"""Called with (parts done, parts in all)."""


@dataclass(frozen=True)
class Simulation:
    """What a batch gave: the program's outputs, and counters that add up over batches."""

    outputs: Mapping[str, Array]
    counters: Counters = field(default_factory=dict)


class Lower(Protocol):
    """From a program to a design."""

    def __call__(self, program: Program, config: Any, progress: Progress | None = None, /) -> Any:
        """Return the design."""


@dataclass(frozen=True)
class Target:
    """One kind of hardware.

    Parameters
    ----------
    name, summary
        For the command line.
    config
        The frozen dataclass of its settings; each field has a default, each default is sound.
    ideal
        The setting at which it equals the reference.
    ideals
        Further settings at which it does, by what they are.
    lower
        ``(program, config, progress) -> design``; a design is a frozen dataclass. Where it takes
        long, it calls ``progress(done, total)``.
    simulate
        ``(design, batch, threads) -> Simulation``; `batch` is (images, *input shape).
    measure
        ``(design, counters) -> measurements``; the counters are sums over all batches.
    batch
        How many images are simulated between two reports of progress.
    """

    name: str
    summary: str
    config: type[Any]
    ideal: Callable[[], Any]
    lower: Lower
    simulate: Callable[[Any, Array, int | None], Simulation]
    measure: Callable[[Any, Counters], tuple[Measurement, ...]]
    batch: int = 500
    ideals: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def configure(self, settings: Mapping[str, Any]) -> Any:
        """Return a config from plain settings, as a TOML file or the command line gives them.

        Raises
        ------
        ConfigError
            If a setting is unknown, of the wrong type, or out of range.
        """
        known = set(self.config.__dataclass_fields__)
        for name in settings:
            if name not in known:
                unknown = UnknownNameError(f"setting of target '{self.name}'", name, known)
                raise ConfigError(unknown.cause, unknown.way_out)
        try:
            config = TypeAdapter(self.config).validate_python(dict(settings))
        except ValidationError as error:
            errors = [(_setting(e["loc"], settings), e["msg"]) for e in error.errors()]
            where = errors[0][0]
            # What may be several things is refused as each of them.
            why = ", or ".join(message for at, message in errors if at == where)
            raise ConfigError(
                f"setting '{where}' of target '{self.name}' is not valid ({why})",
                "correct it in the config file",
            ) from error
        for where in _booleans(settings, self.settings(config)):
            raise ConfigError(
                f"setting '{where}' of target '{self.name}' is true or false, and should not be",
                "give a number",
            )
        return config

    def settings(self, config: Any) -> dict[str, Any]:
        """Return a config as plain settings: what `configure` takes, and records show."""
        return asdict(config)


def _setting(place: tuple[int | str, ...], settings: Any) -> str:
    """Return where in settings an error is; its place also says which type was tried there."""
    path = []
    for part in place:
        if isinstance(settings, Mapping) and part in settings:
            settings = settings[part]
        elif isinstance(settings, list | tuple) and part in range(len(settings)):
            settings = settings[int(part)]
        else:
            break
        path.append(str(part))
    return ".".join(path) or "config"


def _booleans(given: Any, found: Any, path: str = "") -> Iterator[str]:
    """Yield where booleans were given and taken for numbers."""
    if isinstance(given, bool) and not isinstance(found, bool):
        yield path
    pairs: Iterable[tuple[Any, Any, Any]] = ()
    if isinstance(given, Mapping) and isinstance(found, Mapping):
        pairs = [(key, given[key], found[key]) for key in given if key in found]
    elif isinstance(given, list | tuple) and isinstance(found, list | tuple):
        pairs = zip(range(len(given)), given, found, strict=False)
    for key, one, other in pairs:
        yield from _booleans(one, other, f"{path}.{key}" if path else str(key))


def work_measurements(program: Program) -> tuple[Measurement, ...]:
    """Return the operations of one image, the bits of the weights and the thresholds: counted.

    Every target measures these, whatever it does them with (`bitwright.ir.work`).
    """
    work = count_work(program)
    return (
        Measurement(
            "binary_operations", sum(w.binary_operations for w in work), "op/image", "counted"
        ),
        Measurement(
            "integer_operations", sum(w.integer_operations for w in work), "op/image", "counted"
        ),
        Measurement("weight_bits", sum(w.weight_bits for w in work), "bit", "counted"),
        Measurement("thresholds", sum(w.thresholds for w in work), "threshold", "counted"),
    )


def target_names() -> tuple[str, ...]:
    """Return the names of all targets."""
    import bitwright.targets as package  # noqa: PLC0415 - the package imports this module

    return tuple(sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.ispkg))


def get_target(name: str) -> Target:
    """Return a target by name.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    """
    if name not in target_names():
        raise UnknownNameError("target", name, target_names())
    target: Target = importlib.import_module(f"bitwright.targets.{name}").TARGET
    return target
