"""What is chosen around an array, and what the choices are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from bitwright.errors import ConfigError, UnknownNameError
from bitwright.targets.crossbar.cost.adc import Model
from bitwright.targets.crossbar.cost.technology import Coefficients

Sensing = Literal["current", "sampled"]
Constants = Literal["registers", "cells"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How arrays are read and what stands beside them.

    Parameters
    ----------
    adc
        The converters' model (`bitwright.targets.crossbar.cost.adc`).
    columns_per_adc
        How many columns share a converter, one after another.
    sensing
        "current": a column is connected to its converter, settles, and conducts while it is
        converted. "sampled": all columns of an array settle at once and are sampled; converters
        work through the samples while no current flows.
    pipelined
        Whether a window is counted, inverted and read while the last one is put together.
    constants
        Where columns keep the constant that inverted word lines ask for: flip-flops, or cells like
        the array's.
    pieces
        The table of digital pieces: "asap7", or a file.
    coefficients
        Of the analog formulas.

    Raises
    ------
    ConfigError
        If a setting is unknown or out of range.
    """

    adc: Model = "sar"
    columns_per_adc: int = 8
    sensing: Sensing = "current"
    pipelined: bool = False
    constants: Constants = "registers"
    pieces: str = "asap7"
    coefficients: Coefficients = field(default_factory=Coefficients)

    def __post_init__(self) -> None:
        if self.columns_per_adc < 1:
            raise ConfigError(
                f"{self.columns_per_adc} columns share a converter", "give columns_per_adc >= 1"
            )
        for name, known in (("adc", Model), ("sensing", Sensing), ("constants", Constants)):
            value = getattr(self, name)
            if value not in get_args(known):
                raise ConfigError(f"{name} is '{value}'", "use " + ", ".join(get_args(known)))


def settings_of(values: Mapping[str, Any]) -> Settings:
    """Return settings by their names, as a TOML table gives them; coefficients are not among them.

    Raises
    ------
    ConfigError
        If a name is unknown, or a value of the wrong type or out of range.
    """
    kinds = {"columns_per_adc": int, "pipelined": bool}
    known = {field.name for field in fields(Settings)} - {"coefficients"}
    for name, value in values.items():
        if name not in known:
            unknown = UnknownNameError("setting of [cost]", name, known)
            raise ConfigError(unknown.cause, unknown.way_out)
        kind = kinds.get(name, str)
        if type(value) is not kind:
            raise ConfigError(
                f"{name} of [cost] is {value!r}", f"give a value of type {kind.__name__}"
            )
    return Settings(**values)
