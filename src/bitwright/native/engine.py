"""The native engine: a planned program, run on batches by several threads.

Each thread takes a few images through the whole plan, so that what one layer writes is still in the
cache when the next one reads it. Kernels release the interpreter lock.
"""

from __future__ import annotations

import math
import os
import queue
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.ir.program import Program, check_batch, check_names
from bitwright.ir.types import Bits
from bitwright.native import binary
from bitwright.native.convolution import Kernel
from bitwright.native.geometry import Layout, map_shape
from bitwright.native.plan import Plan, Slot, Step, plan
from bitwright.native.tiles import SLACK

Array = npt.NDArray[Any]
WORKING_SET_BYTES = 3 * 2**20
MAX_IMAGES = 32
"""A thread takes about as many images at a time as fit its working set, and no more than these: a
power of two, so that usual batches split into equal parts."""

MIN_IMAGES, MIN_IMAGES_BYTES = 4, 2**24
"""It takes at least these, if they fit so many bytes: with fewer, threads would wait for each other
between kernels, where they hold the interpreter."""


@lru_cache(maxsize=8)
def _pool(workers: int) -> ThreadPoolExecutor:
    """Threads that stay: starting them anew would cost as much as a small batch."""
    return ThreadPoolExecutor(workers, thread_name_prefix="bitwright")


# No thread survives a fork: a child that took its parent's pool would wait for ever.
os.register_at_fork(after_in_child=_pool.cache_clear)


class Workspace:
    """The buffers of one thread, for up to `images` images at a time.

    Slots whose last reader has run hand their buffer to later slots of the same layout, so a
    buffer's halo is filled in once and never written again.
    """

    def __init__(self, planned: Plan, images: int) -> None:
        self.plan = planned
        self.images = images
        self.buffers: dict[Slot, Array] = {}
        self._calls: dict[int, list[tuple[Kernel, list[Array | None], list[Array]]]] = {}
        last = {slot: i for i, step in enumerate(planned.steps) for slot in step.inputs}
        free: dict[Layout, list[Array]] = {}
        for i, step in enumerate(planned.steps):
            for slot in step.outputs:
                spare = free.get(slot.layout)
                self.buffers[slot] = spare.pop() if spare else slot.layout.allocate(images, SLACK)
            for slot in {*step.inputs, *step.outputs}:
                dead = last.get(slot, i) == i and slot not in planned.kept.values()
                if dead and slot != planned.source:
                    free.setdefault(slot.layout, []).append(self.buffers[slot])

    @property
    def nbytes(self) -> int:
        """Bytes of all buffers, each counted once."""
        return sum({id(array): array.nbytes for array in self.buffers.values()}.values())

    def run(self, batch: Array) -> None:
        """Take a batch (images, rows, columns, channels), no larger than `images`, through."""
        count = len(batch)
        if count not in self._calls:
            self._calls[count] = [
                (step.kernel, *self._arrays(step, count)) for step in self.plan.steps
            ]
        for kernel, inputs, outputs in self._calls[count]:
            kernel([batch if array is None else array for array in inputs], outputs)

    def run_step(self, step: Step, batch: Array) -> None:
        """Run one step of the plan on the buffers as they are."""
        inputs, outputs = self._arrays(step, len(batch))
        step.kernel([batch if array is None else array for array in inputs], outputs)

    def _arrays(self, step: Step, count: int) -> tuple[list[Array | None], list[Array]]:
        """The inputs of a step, None for the batch itself, and its outputs, for `count` images."""
        source = self.plan.source
        inputs = [None if s == source else self.buffers[s][:count] for s in step.inputs]
        return inputs, [self.buffers[slot][:count] for slot in step.outputs]


class NativeProgram:
    """A program, planned and ready to run.

    Parameters
    ----------
    program
        The program.
    keep
        The values to return; by default the program's outputs.

    Raises
    ------
    UnknownNameError
        If there is no value of a name in `keep`.
    """

    def __init__(self, program: Program, keep: Collection[str] | None = None) -> None:
        self.program = program
        self.plan = plan(program, check_names(program, program.outputs if keep is None else keep))
        image_bytes = max(Workspace(self.plan, 1).nbytes, 1)
        least = int(np.clip(MIN_IMAGES_BYTES // image_bytes, 1, MIN_IMAGES))
        fitting = 2 ** round(math.log2(WORKING_SET_BYTES / image_bytes))
        self.images = int(np.clip(fitting, least, MAX_IMAGES))
        self._spare: queue.SimpleQueue[Workspace] = queue.SimpleQueue()

    def run(
        self, batch: Any, *, threads: int | None = None, packed: bool = False
    ) -> dict[str, Array]:
        """Run the program on a batch.

        Parameters
        ----------
        batch
            Integers (N, *input shape) within the input's bounds, or bools for an input of bits.
        threads
            How many threads to use; by default one for each core that this process may use.
        packed
            Return bits as words, uint64 (N, rows, columns, words of channels).

        Returns
        -------
        dict
            For each kept value an array (N, *shape): bool for bits (True is +1), int32 for
            integers.

        Raises
        ------
        DataError
            If the batch does not fit the program's input.
        """
        source = self._source(check_batch(self.program, batch))
        count = len(source)
        results = {name: self._empty(name, count, packed) for name in self.plan.kept}
        workers = max(1, threads or len(os.sched_getaffinity(0)))
        size = max(1, min(self.images, -(-count // workers)))
        starts = range(0, count, size)

        def work(start: int) -> None:
            part = source[start : start + size]
            space = self._workspace(size)
            try:
                space.run(part)
                for name, slot in self.plan.kept.items():
                    array = part if slot == self.plan.source else space.buffers[slot][: len(part)]
                    results[name][start : start + size] = self._value(slot, array, packed)
            finally:
                self._spare.put(space)

        if min(workers, len(starts)) <= 1:
            for start in starts:
                work(start)
        else:
            list(_pool(workers).map(work, starts))
        return results

    def _workspace(self, images: int) -> Workspace:
        try:
            space = self._spare.get_nowait()
        except queue.Empty:
            return Workspace(self.plan, images)
        return space if space.images >= images else Workspace(self.plan, images)

    def _source(self, batch: Array) -> Array:
        shape = (len(batch), *self.plan.source.layout.shape)
        if batch.dtype not in (np.uint8, np.bool_):
            batch = batch.astype(np.int32)
        return np.ascontiguousarray(batch).reshape(shape)

    def _empty(self, name: str, count: int, packed: bool) -> Array:
        value = self.program.types[name]
        if packed and isinstance(value, Bits):
            rows, columns, channels = map_shape(value)
            return np.empty((count, rows, columns, -(-channels // 64)), np.uint64)
        return np.empty((count, *value.shape), np.bool_ if isinstance(value, Bits) else np.int32)

    def _value(self, slot: Slot, array: Array, packed: bool) -> Array:
        value = self.program.types[slot.value]
        inside = slot.layout.interior(array) if slot != self.plan.source else array
        if isinstance(value, Bits):
            if packed:
                return inside
            inside = binary.unpack_channels(inside, slot.layout.shape[2])
        return inside.reshape(len(array), *value.shape)


def run(
    program: Program,
    batch: Any,
    *,
    keep: Collection[str] | None = None,
    threads: int | None = None,
) -> dict[str, Array]:
    """Plan and run a program once; `NativeProgram` runs one many times."""
    return NativeProgram(program, keep).run(batch, threads=threads)
