"""A column solved as any circuit is: node voltages, conductance matrices, Newton's method.

Written apart from `bitwright.targets.crossbar`: nodes are joined where a resistance is 0, devices
have their equations again, and currents are summed in extended precision, from branches, so that
the reference is better than what it is compared with.
"""

from __future__ import annotations

import numpy as np

LONG = np.longdouble
BOLTZMANN_BY_CHARGE = LONG(1.380649e-23) / LONG(1.602176634e-19)


class Circuit:
    """Nodes and branches; a branch is (node, node, flow, slopes) with voltages as arguments."""

    def __init__(self):
        self.names, self.fixed, self.branches = {}, {}, []
        self.joined = {}

    def root(self, name):
        while name in self.joined:
            name = self.joined[name]
        return name

    def resistor(self, a, b, ohm):
        if ohm == 0:
            if self.root(a) != self.root(b):
                low, high = self.root(a), self.root(b)
                if high in self.fixed:
                    low, high = high, low
                self.joined[high] = low
        elif np.isfinite(ohm):
            self.device(a, b, lambda u, v: ((u - v) / LONG(ohm), 1 / LONG(ohm), -1 / LONG(ohm)))

    def device(self, a, b, law):
        self.branches.append((a, b, law))

    def hold(self, name, volt):
        self.fixed[name] = LONG(volt)

    def solve(self, start):
        """Return all voltages; `start` maps a node to a first guess."""
        branches = [(self.root(a), self.root(b), law) for a, b, law in self.branches]
        free = sorted({n for a, b, _ in branches for n in (a, b)} - set(self.fixed))
        index = {name: k for k, name in enumerate(free)}
        volts = {name: LONG(start(name)) for name in free} | self.fixed

        def balance(volts):
            excess = np.zeros(len(free), LONG)
            matrix = np.zeros((len(free), len(free)))
            for a, b, law in branches:
                flow, by_a, by_b = law(volts[a], volts[b])
                for node, sign in ((a, 1), (b, -1)):
                    if node in index:
                        excess[index[node]] += sign * flow
                        for other, slope in ((a, by_a), (b, by_b)):
                            if other in index:
                                matrix[index[node], index[other]] += sign * float(slope)
            return excess, matrix

        excess, matrix = balance(volts)
        settled = 0 if free else 2
        for _ in range(200):
            if settled == 2:
                break
            step = np.linalg.solve(matrix, -excess.astype(np.float64))
            share, size = 1.0, np.abs(excess).sum()
            while True:
                tried = volts | {n: volts[n] + LONG(share * step[k]) for n, k in index.items()}
                excess, matrix = balance(tried)
                if np.abs(excess).sum() < size or share < 1e-6:
                    break
                share /= 2
            moved = share * np.abs(step).max()
            volts = tried
            settled += moved < 1e-13
        else:
            raise AssertionError("the reference did not converge")
        return lambda name: volts[self.root(name)]


def softplus(z):
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def fet(cell, specific):
    """EKV: I = specific (F(low) - F(high)) (1 + modulation |high - low|)."""
    pinch = (LONG(cell.supply_volt) - LONG(cell.threshold_volt)) / LONG(cell.slope_factor)
    two = 2 * BOLTZMANN_BY_CHARGE * LONG(cell.temperature_kelvin)
    length = LONG(cell.modulation_per_volt)

    def law(high, low):
        z_high, z_low = (pinch - high) / two, (pinch - low) / two
        plain = softplus(z_low) ** 2 - softplus(z_high) ** 2
        bent = 1 + length * abs(high - low)
        d_high = 2 * softplus(z_high) / (1 + np.exp(-z_high)) / two
        d_low = -2 * softplus(z_low) / (1 + np.exp(-z_low)) / two
        return (
            specific * plain * bent,
            specific * (d_high * bent + abs(plain) * length),
            specific * (d_low * bent - abs(plain) * length),
        )

    return law


def sinh(scale, volt):
    def law(high, low):
        z = (high - low) / LONG(volt)
        slope = scale / LONG(volt) * np.cosh(z)
        return scale * np.sinh(z), slope, -slope

    return law


def bisect(function, low, high):
    """Return where a falling function is 0."""
    low, high = LONG(low), LONG(high)
    for _ in range(130):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) > 0 else (low, middle)
    return (low + high) / 2


def elements(cell, read_volt):
    """Return the laws of a cell's two elements by weight, scaled so that on_ohm holds."""
    volt, current = LONG(read_volt), LONG(read_volt) / LONG(cell.on_ohm)
    plain = fet(cell, LONG(1)) if cell.kind != "linear" else None
    if cell.kind == "sram8t":
        x = bisect(lambda x: plain(volt, x)[0] - plain(x, LONG(0))[0], 0, volt)
        specific = current / plain(x, LONG(0))[0]
        return lambda weight: (
            fet(cell, specific * LONG(weight)),
            fet(cell, specific * LONG(weight)),
        )
    across = volt * LONG(cell.access_share)
    specific = current / plain(across, LONG(0))[0]
    scale = current / np.sinh((volt - across) / LONG(cell.sinh_volt))
    return lambda weight: (sinh(scale * LONG(weight), cell.sinh_volt), fet(cell, specific))


def column_current(ladder, cell, weights, active):
    """Return what a column's bit line carries into the sense node, in ampere."""
    circuit = Circuit()
    circuit.hold("read", ladder.read_volt)
    circuit.hold("sense", 0)
    last = ladder.rows - 1
    circuit.resistor("read", f"s{0 if ladder.feed == 'far' else last}", ladder.driver_ohm)
    circuit.resistor(f"b{last}", "sense", ladder.sink_ohm)
    for row in range(last):
        circuit.resistor(f"s{row}", f"s{row + 1}", ladder.source_ohm)
        circuit.resistor(f"b{row}", f"b{row + 1}", ladder.bit_ohm)
    cells = []
    laws = None if cell.kind == "linear" else elements(cell, ladder.read_volt)
    for row in np.flatnonzero(np.asarray(weights) > 0):
        s, b = f"s{row}", f"b{row}"
        if not active[row]:
            if cell.unselected_share:
                circuit.resistor(s, b, LONG(cell.on_ohm) / LONG(cell.unselected_share))
                cells.append((b, len(circuit.branches) - 1))
        elif laws is None:
            circuit.resistor(s, b, LONG(cell.on_ohm) / LONG(weights[row]))
            cells.append((b, len(circuit.branches) - 1))
        else:
            upper, lower = laws(weights[row])
            circuit.device(s, f"x{row}", upper)
            circuit.device(f"x{row}", b, lower)
            cells.append((b, len(circuit.branches) - 1))
    volt = circuit.solve(
        lambda n: ladder.read_volt * {"s": 1, "b": 0, "x": 0.3}[n[0]] if n[0] in "sbx" else 0
    )
    total = LONG(0)
    for _, number in cells:
        a, b, law = circuit.branches[number]
        total += law(volt(a), volt(b))[0]
    return float(total)
