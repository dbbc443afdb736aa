"""Functions of one number made of straight pieces, one for each channel, in float64.

BatchNorm, scales, PReLU, Maxout and hardtanh are all of this kind, and so is any chain of them. A
lowering composes a chain here and then rounds it once, instead of rounding each link.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Lines:
    """For each channel ``slope[s] * x + intercept[s]``, s the number of breakpoints <= x.

    Parameters
    ----------
    breakpoints
        (channels, pieces - 1), rising; infinite ones pad channels that have fewer.
    slope, intercept
        (channels, pieces).
    """

    breakpoints: Floats
    slope: Floats
    intercept: Floats

    @property
    def channels(self) -> int:
        """How many functions there are."""
        return len(self.slope)

    @property
    def straight(self) -> bool:
        """Whether each function is one line."""
        return bool(self.slope.shape[1] == 1)

    def __call__(self, x: Floats) -> Floats:
        """Return the values at x (channels, points)."""
        piece = (x[:, :, None] >= self.breakpoints[:, None, :]).sum(axis=2)
        channel = np.arange(self.channels)[:, None]
        return np.asarray(self.slope[channel, piece] * x + self.intercept[channel, piece])

    def direction(self) -> npt.NDArray[np.int8]:
        """Return for each channel 1 if it rises, -1 if it falls, 0 if it does neither always.

        A constant counts as rising. Jumps at breakpoints are looked at too.
        """
        used = self._used()
        rises = np.all((self.slope >= 0) | ~used, axis=1) & np.all(self._jumps() >= 0, axis=1)
        falls = np.all((self.slope <= 0) | ~used, axis=1) & np.all(self._jumps() <= 0, axis=1)
        return np.where(rises, 1, np.where(falls, -1, 0)).astype(np.int8)

    def _used(self) -> npt.NDArray[np.bool_]:
        starts = np.concatenate([np.full((self.channels, 1), -np.inf), self.breakpoints], axis=1)
        ends = np.concatenate([self.breakpoints, np.full((self.channels, 1), np.inf)], axis=1)
        return starts < ends

    def _jumps(self) -> Floats:
        finite = np.where(np.isfinite(self.breakpoints), self.breakpoints, 0.0)
        left = self.slope[:, :-1] * finite + self.intercept[:, :-1]
        right = self.slope[:, 1:] * finite + self.intercept[:, 1:]
        jumps = np.where(np.isfinite(self.breakpoints), right - left, 0.0)
        # The two sides of a kink are equal but for rounding.
        scale = np.maximum(np.abs(left), np.abs(right)) + 1.0
        return np.where(np.abs(jumps) <= 1e-9 * scale, 0.0, jumps)

    def after(self, inner: Lines) -> Lines:
        """Return the composition: `inner` first, then this."""
        rows = [self._row_after(inner, c) for c in range(self.channels)]
        return _stack(rows)

    def _row_after(self, inner: Lines, c: int) -> tuple[Floats, Floats, Floats]:
        cuts = [b for b in inner.breakpoints[c] if np.isfinite(b)]
        edges = [-np.inf, *cuts, np.inf]
        for piece in range(len(edges) - 1):
            slope, intercept = inner.slope[c, piece], inner.intercept[c, piece]
            if slope != 0.0:
                back = (self.breakpoints[c] - intercept) / slope
                inside = (back > edges[piece]) & (back < edges[piece + 1]) & np.isfinite(back)
                cuts.extend(back[inside])
        breaks = np.unique(np.array(cuts, np.float64))
        middles = _middles(breaks)
        i = (middles[:, None] >= inner.breakpoints[c]).sum(axis=1)
        y = inner.slope[c, i] * middles + inner.intercept[c, i]
        o = (y[:, None] >= self.breakpoints[c]).sum(axis=1)
        slope = self.slope[c, o] * inner.slope[c, i]
        intercept = self.slope[c, o] * inner.intercept[c, i] + self.intercept[c, o]
        return breaks, slope, intercept


def line(slope: npt.ArrayLike, intercept: npt.ArrayLike) -> Lines:
    """Return ``slope * x + intercept``, each (channels,)."""
    slopes, intercepts = np.broadcast_arrays(
        np.asarray(slope, np.float64), np.asarray(intercept, np.float64)
    )
    return Lines(np.empty((slopes.size, 0)), slopes.reshape(-1, 1), intercepts.reshape(-1, 1))


def kinked(breakpoint_at: npt.ArrayLike, below: npt.ArrayLike, above: npt.ArrayLike) -> Lines:
    """Return functions with one kink where they are 0: slopes `below` and `above` it."""
    at, low, high = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(a, np.float64)) for a in (breakpoint_at, below, above))
    )
    slope = np.stack([low, high], axis=1)
    return Lines(at[:, None].copy(), slope, -slope * at[:, None])


def clipped(least: Floats, greatest: Floats) -> Lines:
    """Return x held within ``least..greatest``, each (channels,)."""
    slope = np.tile([0.0, 1.0, 0.0], (len(least), 1))
    intercept = np.stack([least, np.zeros(len(least)), greatest], axis=1)
    return Lines(np.stack([least, greatest], axis=1), slope, intercept)


def _middles(breaks: Floats) -> Floats:
    """A point inside each piece."""
    if not len(breaks):
        return np.zeros(1)
    inner = (breaks[1:] + breaks[:-1]) / 2
    return np.concatenate([[breaks[0] - 1.0], inner, [breaks[-1] + 1.0]])


def _stack(rows: list[tuple[Floats, Floats, Floats]]) -> Lines:
    """Put channels of different numbers of pieces together."""
    most = max(len(breaks) for breaks, _, _ in rows)
    count = len(rows)
    breaks = np.full((count, most), np.inf)
    slope, intercept = np.zeros((count, most + 1)), np.zeros((count, most + 1))
    for c, (b, s, i) in enumerate(rows):
        breaks[c, : len(b)] = b
        slope[c] = np.concatenate([s, np.repeat(s[-1], most - len(b))])
        intercept[c] = np.concatenate([i, np.repeat(i[-1], most - len(b))])
    return Lines(breaks, slope, intercept)
