"""A circuit in standard cells, from the circuit to checked numbers.

Requirements:

- No number of a netlist is given that was not compared with its circuit: on random vectors when it
  is mapped, and on every vector that an energy is measured with.
- Numbers are `Measurement`s, each with its method and what found it.
"""

from __future__ import annotations

from dataclasses import dataclass

from bitwright.circuits import Circuit, write_verilog
from bitwright.eda import energy as energies
from bitwright.eda.energy import Energy
from bitwright.eda.equivalence import Proof, prove_equal
from bitwright.eda.liberty import Library
from bitwright.eda.logic import Bits, check_outputs
from bitwright.eda.mapping import Effort
from bitwright.eda.opensta import OWN, Delay, find_delay
from bitwright.eda.synthesis import Mapped, synthesise
from bitwright.eda.timing import Boundary, typical_boundary
from bitwright.eda.vectors import expected_outputs, random_vectors
from bitwright.records import Measurement

CHECKED = 10_000
"""Random vectors on which a netlist must equal its circuit."""


@dataclass(frozen=True, eq=False)
class Implementation:
    """A circuit in cells of a library.

    Parameters
    ----------
    mapped
        Its netlist and what made it.
    delay
        From its inputs to its last output.
    checked
        On how many random vectors it equals its circuit, of which seed.
    proof
        That it does so on all, if that was asked for.
    """

    circuit: Circuit
    library: Library
    boundary: Boundary
    mapped: Mapped
    delay: Delay
    checked: int
    seed: int
    proof: Proof | None

    def energy(self, vectors: Bits) -> Energy:
        """Return the energy of an operation over vectors, glitches counted.

        Parameters
        ----------
        vectors
            At least two, of shape (vectors, inputs), one after the other. The netlist is compared
            with its circuit on them first.

        Raises
        ------
        CircuitError
            If there are fewer than two vectors, or the netlist differs from its circuit.
        """
        netlist = self.mapped.netlist
        check_outputs(netlist, vectors, expected_outputs(self.circuit, vectors))
        return energies.energy(netlist, self.library, vectors, self.boundary)

    def measurements(self, area_unit: str = "") -> tuple[Measurement, ...]:
        """Return area, number of cells and delay.

        Parameters
        ----------
        area_unit
            What the library's areas are in; Liberty does not say.
        """
        netlist = self.mapped.netlist
        tools = ", ".join(f"{name} {version}" for name, version in self.mapped.versions.items())
        made = f"{tools}; library {self.library.name}"
        own = self.delay.source == OWN
        return (
            Measurement("area", netlist.area, area_unit or "library unit", "synthesised", made),
            Measurement("cells", len(netlist.instances), "cell", "synthesised", made),
            Measurement(
                "delay",
                self.delay.delay_s * 1e12,
                "ps",
                "estimated" if own else "synthesised",
                f"{self.delay.source}; library {self.library.name}, no wires",
            ),
        )


def implement(
    circuit: Circuit,
    library: Library,
    *,
    adders: bool = True,
    effort: Effort = "area",
    boundary: Boundary | None = None,
    vectors: int = CHECKED,
    seed: int = 0,
    prove: bool = False,
) -> Implementation:
    """Map a circuit to cells, compare the netlist with it, and find its delay.

    Parameters
    ----------
    adders, effort, boundary
        As `bitwright.eda.synthesis.synthesise` takes them.
    vectors, seed
        The random vectors of the comparison.
    prove
        Whether yosys is to prove them equal for all inputs as well.

    Raises
    ------
    CircuitError
        If the circuit has no output, none that depends on an input, or the netlist differs from it.
    LibertyError
        If the library lacks an inverter or delay tables.
    ToolError
        If a tool is missing or fails.
    """
    verilog = write_verilog(circuit)
    edge = boundary or typical_boundary(library)
    mapped = synthesise(verilog, library, adders=adders, effort=effort, boundary=edge)
    sample = random_vectors(circuit.inputs, vectors, seed)
    check_outputs(mapped.netlist, sample, expected_outputs(circuit, sample))
    proof = prove_equal(verilog, mapped.netlist, library) if prove else None
    delay = find_delay(mapped.netlist, library, edge)
    return Implementation(circuit, library, edge, mapped, delay, len(sample), seed, proof)


def energy_measurements(found: Energy, library: Library, suffix: str = "") -> list[Measurement]:
    """Return an energy as measurements, with and without its input nets.

    Parameters
    ----------
    suffix
        Of their names: which vectors it was measured with.
    """
    source = f"timed simulation of the netlist, energies of library {library.name}, no wires"
    parts = {
        f"energy{suffix}": found.total_j,
        f"energy_without_input_nets{suffix}": found.without_inputs_j,
    }
    made = [
        Measurement(name, joules * 1e15, "fJ/op", "simulated", source)
        for name, joules in parts.items()
    ]
    if found.leakage_w is not None:
        watts = found.leakage_w * 1e9
        made.append(Measurement(f"leakage{suffix}", watts, "nW", "simulated", source))
    return made
