"""The bits between layers while circuits count."""

from __future__ import annotations

import numpy as np
import pytest

from bitwright import network
from bitwright.ir import Bits
from bitwright.native import NativeProgram
from bitwright.targets import get_target
from bitwright.targets.majority.simulate import activations


@pytest.fixture(scope="module")
def program():
    return network.load("fmnist-mlp").program


def found(program, circuit, images):
    target = get_target("majority")
    design = target.lower(program, target.configure({"circuit": circuit}))
    names = [name for name, value in program.types.items() if isinstance(value, Bits)]
    return activations(design, images, names), NativeProgram(program, names).run(images)


def test_exact_circuits_leave_them_as_they_are(program):
    images = np.random.default_rng(0).integers(0, 256, (520, 28, 28, 1))  # more than a block
    ours, exact = found(program, "exact", images)
    assert ours
    for name, bits in ours.items():
        assert bits.shape == (520, *program.types[name].shape)
        assert np.array_equal(bits, exact[name])


def test_approximate_ones_change_them_from_the_first_circuit_on(program):
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28, 1))
    ours, exact = found(program, "andor", images)
    differ = [bool((bits != exact[name]).any()) for name, bits in ours.items()]
    assert differ[0] is False
    assert any(differ)
