"""Turning packed bits into planes and back, in registers: 64x64 bits, and 8x8 words.

Requirements:

- A block of 64 words is 512 bytes, aligned: eight vectors. Transposed, bit j of word i is bit i of
  word j.
- Eight vectors of eight words transpose in the same way: word q of vector k becomes word k of
  vector q. One side lies at any eight addresses, the other in order; addresses are aligned.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from bitwright.native import simd
from bitwright.native.simd import I32, I64, LANES, V64

BITS = 64
VECTOR_BYTES = 64
ROOM = 9
"""Rows of 64 words that slicing works in."""


def _constant(numbers: list[int]) -> ir.Constant:
    """Return unsigned words as a vector; LLVM's are signed."""
    return ir.Constant(V64, [n - (n >> 63 << 64) for n in numbers])


def _mask(width: int) -> int:
    """Return the bits of a word that stay where they are: the lower half of each 2 * width."""
    return sum(1 << k for k in range(BITS) if not k & width)


def _swap_vectors(builder: ir.IRBuilder, block: list[ir.Value], width: int) -> None:
    """Emit the exchange of bits between words that are `width` apart, in different vectors."""
    keep, move = _constant([_mask(width)] * LANES), _constant([~_mask(width) % 2**BITS] * LANES)
    shift = _constant([width] * LANES)
    apart = width // LANES
    for k in range(LANES):
        if not k & apart:
            low, high = block[k], block[k + apart]
            up = builder.shl(builder.and_(high, keep), shift)
            down = builder.lshr(builder.and_(low, move), shift)
            block[k] = builder.or_(builder.and_(low, keep), up)
            block[k + apart] = builder.or_(builder.and_(high, move), down)


def _swap_lanes(builder: ir.IRBuilder, block: list[ir.Value], width: int) -> None:
    """Emit the exchange of bits between words that are `width` apart, in the same vector."""
    partners = ir.Constant(ir.VectorType(I32, LANES), [lane ^ width for lane in range(LANES)])
    upper = [bool(lane & width) for lane in range(LANES)]
    keep = _constant([~_mask(width) % 2**BITS if up else _mask(width) for up in upper])
    turn = _constant([BITS - width if up else width for up in upper])
    back = _constant([width if up else BITS - width for up in upper])
    for k, words in enumerate(block):
        other = builder.shuffle_vector(words, ir.Constant(V64, ir.Undefined), partners)
        moved = builder.and_(other, keep)
        moved = builder.or_(builder.shl(moved, turn), builder.lshr(moved, back))
        block[k] = builder.or_(builder.and_(words, keep), moved)


def _turned(builder: ir.IRBuilder, rows: list[ir.Value]) -> list[ir.Value]:
    """Emit the transpose of eight vectors."""
    for width in (1, 2, 4):
        made = list(rows)
        for k in range(LANES):
            if not k & width:
                low, high = rows[k], rows[k + width]
                pick = [
                    [q if not q & width else LANES + q - width for q in range(LANES)],
                    [q + width if not q & width else LANES + q for q in range(LANES)],
                ]
                for row, lanes in zip((k, k + width), pick, strict=True):
                    order = ir.Constant(ir.VectorType(I32, LANES), lanes)
                    made[row] = builder.shuffle_vector(low, high, order)
        rows = made
    return rows


@intrinsic
def _transpose(typingctx, source, apart, target, beyond):
    """Transpose a block; its vectors lie `apart` bytes apart, the target's `beyond`."""

    def emit(context, builder, signature, args):
        source, apart, target, beyond = args
        numbers = [ir.Constant(I64, k) for k in range(LANES)]
        block = [
            simd.load(builder, builder.add(source, builder.mul(apart, k)), V64, 64) for k in numbers
        ]
        for width in (32, 16, 8):
            _swap_vectors(builder, block, width)
        for width in (4, 2, 1):
            _swap_lanes(builder, block, width)
        for words, k in zip(block, numbers, strict=True):
            simd.store(builder, words, builder.add(target, builder.mul(beyond, k)), 64)
        return context.get_dummy_value()

    return types.void(source, apart, target, beyond), emit


def _turn(gathers: bool):
    """Return an intrinsic that transposes words, groups of eight vectors one after the other.

    It takes the address of eight addresses (a table, int64), what to add to each, the address of
    the side that lies in order, and how many groups; addresses move on by a vector a group, the
    ordered side by eight.
    """

    def turn(typingctx, table, base, ordered, groups):
        def emit(context, builder, signature, args):
            table, base, ordered, groups = args
            apart = [
                builder.add(base, simd.load(builder, simd.offset(builder, table, 8 * k), I64, 8))
                for k in range(LANES)
            ]
            with cgutils.for_range(builder, groups) as loop:
                step = builder.shl(loop.index, ir.Constant(I64, 6))
                here = builder.add(ordered, builder.shl(step, ir.Constant(I64, 3)))
                ordered_places = [
                    simd.offset(builder, here, VECTOR_BYTES * k) for k in range(LANES)
                ]
                apart_places = [builder.add(place, step) for place in apart]
                sides = (apart_places, ordered_places)
                sources, targets = sides if gathers else sides[::-1]
                rows = [simd.load(builder, place, V64, 8) for place in sources]
                for row, place in zip(_turned(builder, rows), targets, strict=True):
                    simd.store(builder, row, place, 8)
            return context.get_dummy_value()

        return types.void(table, base, ordered, groups), emit

    return intrinsic(turn)


gather_words, scatter_words = _turn(True), _turn(False)


@njit(cache=True, nogil=True)
def to_planes(packed, room, sliced):
    """Slice packed words over up to 64 images.

    Parameters
    ----------
    packed
        uint64 (images, words), C-contiguous, at most 64 images.
    room
        uint64 (ROOM, 64), aligned; overwritten.
    sliced
        uint64 (words, 64), aligned: bit i of word (w, j) is bit j of word w of image i, 0 where
        there is no such image.
    """
    images, words = packed.shape
    source, target, blocks = packed.ctypes.data, sliced.ctypes.data, room.ctypes.data
    room[0] = 0
    addresses = blocks + 512 * 8
    word = 0
    while word < words:
        if images == 64 and words >= 8:
            word = min(word, words - 8)
            for image in range(64):
                room[8, image] = source + 8 * (image * words + word)
            for k in range(8):
                gather_words(addresses + 64 * k, 0, blocks + 512 * k, 1)
            for k in range(8):
                _transpose(blocks + 64 * k, 512, target + 512 * (word + k), 64)
            word += 8
        else:
            for image in range(images):
                room[0, image] = packed[image, word]
            _transpose(blocks, 64, target + 512 * word, 64)
            word += 1


@njit(cache=True, nogil=True)
def from_planes(sliced, places, room, packed):
    """Put sliced words back into packed ones.

    Parameters
    ----------
    sliced
        uint64 (words, 64), aligned.
    places
        int64 (words,): where each goes in an image.
    room
        uint64 (ROOM, 64), aligned; overwritten.
    packed
        uint64 (images, words of an image), C-contiguous, at most 64 images.
    """
    images = packed.shape[0]
    source, target, blocks = sliced.ctypes.data, packed.ctypes.data, room.ctypes.data
    addresses = blocks + 512 * 8
    words = sliced.shape[0]
    word = 0
    while word < words:
        if images == 64 and word + 8 <= words and places[word + 7] == places[word] + 7:
            for k in range(8):
                _transpose(source + 512 * (word + k), 64, blocks + 64 * k, 512)
            for image in range(64):
                room[8, image] = target + 8 * (image * packed.shape[1] + places[word])
            for k in range(8):
                scatter_words(addresses + 64 * k, 0, blocks + 512 * k, 1)
            word += 8
        else:
            _transpose(source + 512 * word, 64, blocks, 64)
            for image in range(images):
                packed[image, places[word]] = room[0, image]
            word += 1
