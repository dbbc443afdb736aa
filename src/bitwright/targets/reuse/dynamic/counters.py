"""`LayerCounters`: what a layer has done, and what each mechanism has saved it."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class LayerCounters:
    """Sums over images; they add up over batches.

    An operation is one XNOR of a weight bit with an activation bit that is counted, as in
    `bitwright.ir.work`. The numbers of operations fall from `dense` to `done`: each is what is left
    after one more mechanism, in the order in which a machine looks for them.

    Parameters
    ----------
    images
        Images.
    neurons
        Outputs of the dot product, before a pool.
    dense
        Operations without skipping. Taps padded with 0 are none.
    after_constants
        ... without constant neurons and known inputs.
    after_pool
        ... without windows of a pool that was decided.
    after_inclusion
        ... without neurons whose bit another neuron's implied.
    done
        ... without tiles after the one that decided: those that are done.
    constant, pooled, implied
        Neurons that each of these left no work; the rest is in `deciding_tile`.
    deciding_tile
        How many neurons were decided after 0, 1, .. all of their tiles.
    tile_steps
        Tiles that were done.
    slowest_steps
        The most tiles done for a neuron of a window, summed over windows: the time of a machine
        with a unit for each neuron, all of which take the same window.
    bound_checks
        Comparisons of a neuron's bounds with its limit; the final comparison is none.
    parent_checks
        Those of them that used a parent.
    implication_checks
        Outcomes of other neurons that were looked at.
    activation_bits
        Bits of windows whose ones were counted beforehand, once for all neurons, for tight bounds.
    """

    images: int
    neurons: int
    dense: int
    after_constants: int
    after_pool: int
    after_inclusion: int
    done: int
    constant: int
    pooled: int
    implied: int
    deciding_tile: tuple[int, ...]
    tile_steps: int
    slowest_steps: int
    bound_checks: int
    parent_checks: int
    implication_checks: int
    activation_bits: int

    def __add__(self, other: LayerCounters) -> LayerCounters:
        """Return the counters of both; of the same layer with the same tiles."""
        sums = {
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in fields(self)
            if field.name != "deciding_tile"
        }
        both = zip(self.deciding_tile, other.deciding_tile, strict=True)
        return LayerCounters(deciding_tile=tuple(a + b for a, b in both), **sums)

    @property
    def share(self) -> float:
        """The part of the operations that is done."""
        return self.done / self.dense if self.dense else 0.0
