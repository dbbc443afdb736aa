"""What every peer's script needs: its arguments, a clock, and exact answers to compare with.

Requirements:

* NumPy and the standard library only: each peer's environment imports this module.
* A configuration is checked before it is timed, and the clock starts after a warm-up.
* A peer is shown at its best: each configuration gets a short trial, the fastest is measured.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

TRIAL_SHARE = 0.15
"""The trial of one configuration, as a share of the time given to the measurement."""

MIN_CALLS = 5
"""Calls that are timed however long they take."""


def timing_arguments(description: str, batch: int) -> argparse.ArgumentParser:
    """Build a parser with the arguments that all the scripts share.

    Parameters
    ----------
    description
        What the script measures.
    batch
        The default of ``--batch``, in images.

    Returns
    -------
    argparse.ArgumentParser
        A parser with ``--batch``, ``--threads`` and ``--seconds``.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--batch", type=_positive_int, default=batch, help="images a call")
    parser.add_argument("--threads", type=_positive_int, default=1, help="threads of one call")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of the measurement")
    return parser


def conv_arguments(description: str) -> argparse.ArgumentParser:
    """Build a parser for a benchmark of one 3x3 convolution, padding 1, stride 1.

    Parameters
    ----------
    description
        What the script measures.

    Returns
    -------
    argparse.ArgumentParser
        That of `timing_arguments`, and ``--in-channels``, ``--out-channels`` and ``--size``.
    """
    parser = timing_arguments(description, batch=1)
    parser.add_argument("--in-channels", type=_positive_int, default=256)
    parser.add_argument("--out-channels", type=_positive_int, default=256)
    parser.add_argument("--size", type=_positive_int, default=16, help="height and width, pixels")
    return parser


def _positive_int(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1; give a positive whole number")
    return value


def shape_name(args: argparse.Namespace) -> str:
    """Name the convolution of `conv_arguments`, as in ``256x16x16->256``."""
    return f"{args.in_channels}x{args.size}x{args.size}->{args.out_channels}"


def times_ms(call: Callable[[], object], seconds: float) -> list[float]:
    """Time a call again and again, after a warm-up of a fifth of the time.

    Parameters
    ----------
    call
        What to time.
    seconds
        How long to go on; at least `MIN_CALLS` calls are timed.

    Returns
    -------
    list of float
        The wall-clock time of each call, in milliseconds.
    """
    call()
    warm = time.perf_counter() + seconds / 5
    while time.perf_counter() < warm:
        call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < MIN_CALLS or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - start))
    return times


def measure_fastest(
    calls: Mapping[str, Callable[[], object]], seconds: float
) -> tuple[str, list[float]]:
    """Give each configuration a short trial and measure the fastest.

    Parameters
    ----------
    calls
        The configurations by name.
    seconds
        The length of the measurement; a trial takes `TRIAL_SHARE` of it.

    Returns
    -------
    str
        The name of the configuration with the shortest call in the trials: the minimum, because
        other work on the machine only ever adds time.
    list of float
        The times of its measurement, in milliseconds.
    """
    trials = {name: min(times_ms(call, TRIAL_SHARE * seconds)) for name, call in calls.items()}
    fastest = min(trials, key=trials.__getitem__)
    return fastest, times_ms(calls[fastest], seconds)


def convolve(images: NDArray, weights: NDArray, padding: int) -> NDArray[np.float64]:
    """Convolve (cross-correlate) at stride 1; exact for integers whose sums stay below 2**53.

    Parameters
    ----------
    images
        Shape ``(batch, in_channels, height, width)``.
    weights
        Shape ``(out_channels, in_channels, kernel_height, kernel_width)``.
    padding
        Zeros on each side, in pixels.

    Returns
    -------
    numpy.ndarray
        Shape ``(batch, out_channels, out_height, out_width)``.
    """
    border = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    padded = np.pad(images.astype(np.float64), border)
    windows = np.lib.stride_tricks.sliding_window_view(padded, weights.shape[2:], axis=(2, 3))
    sums = np.tensordot(windows, weights.astype(np.float64), axes=((1, 4, 5), (1, 2, 3)))
    return sums.transpose(0, 3, 1, 2)
