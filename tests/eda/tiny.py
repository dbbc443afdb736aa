"""A small Liberty library whose tables are planes, so that figures can be worked out by hand.

Units are ps, fF, V, pW: energies are in fJ. A delay is a + b * slew + c * load at every point of
its table and, since planes continue straight, everywhere else.
"""

from __future__ import annotations

from collections.abc import Sequence

SLEWS = (10.0, 40.0)
LOADS = (1.0, 5.0)

HEADER = """\
library (tiny) {
  delay_model : table_lookup;
  time_unit : "1ps";
  capacitive_load_unit (1, ff);
  voltage_unit : "1V";
  leakage_power_unit : "1pW";
  nom_voltage : 0.8;
  nom_temperature : 25;
  operating_conditions (typical) { process : 1; voltage : 0.7; temperature : 30; }
  default_operating_conditions : typical;
  lu_table_template (delays) {
    variable_1 : input_net_transition;
    variable_2 : total_output_net_capacitance;
    index_1 ("10, 40");
    index_2 ("1, 5");
  }
  power_lut_template (energies) {
    variable_1 : input_transition_time;
    variable_2 : total_output_net_capacitance;
    index_1 ("10, 40");
    index_2 ("1, 5");
  }
  power_lut_template (hidden) {
    variable_1 : input_transition_time;
    index_1 ("10, 40");
  }
"""


def plane(base: float, by_slew: float, by_load: float) -> float:
    """Return the values of a table as Liberty writes them."""
    rows = (
        ", ".join(f"{base + by_slew * slew + by_load * load:.10g}" for load in LOADS)
        for slew in SLEWS
    )
    return ", ".join(f'"{row}"' for row in rows)


def table(kind: str, template: str, base: float, by_slew: float = 0.0, by_load: float = 0.0) -> str:
    return f"{kind} ({template}) {{ values ({plane(base, by_slew, by_load)}); }}"


def timing(
    related: str,
    rise: Sequence[float],
    fall: Sequence[float],
    sense: str = "non_unate",
    when: str = "",
) -> str:
    """Return an arc; `rise` and `fall` are the plane of the delay, slews are 8 + 2 * load."""
    condition = f'when : "{when}"; sdf_cond : "x";' if when else ""
    return (
        f'timing () {{ related_pin : "{related}"; timing_sense : {sense}; {condition}'
        + table("cell_rise", "delays", *rise)
        + table("cell_fall", "delays", *fall)
        + table("rise_transition", "delays", 8, 0, 2)
        + table("fall_transition", "delays", 8, 0, 2)
        + "}"
    )


def power(related: str, rise: float, fall: float, when: str = "", rail: str = "") -> str:
    """Return an output's energy arc; the energies do not depend on slew or load."""
    condition = f'when : "{when}";' if when else ""
    rails = f"related_pg_pin : {rail};" if rail else ""
    return (
        f'internal_power () {{ related_pin : "{related}"; {condition} {rails}'
        + table("rise_power", "energies", rise)
        + table("fall_power", "energies", fall)
        + "}"
    )


def hidden(rise: float, fall: float, when: str) -> str:
    """Return an input's energy arc."""
    return (
        f'internal_power () {{ when : "{when}";'
        f'rise_power (hidden) {{ values ("{rise}, {rise}"); }}'
        f'fall_power (hidden) {{ values ("{fall}, {fall}"); }} }}'
    )


def output(name: str, function: str, *arcs: str) -> str:
    return f'pin ({name}) {{ direction : output; function : "{function}"; {"".join(arcs)} }}'


def input_(name: str, rise: float, fall: float, *arcs: str) -> str:
    return (
        f"pin ({name}) {{ direction : input; capacitance : {max(rise, fall)};"
        f"rise_capacitance : {rise}; fall_capacitance : {fall}; {''.join(arcs)} }}"
    )


def cell(name: str, area: float, *parts: str) -> str:
    supplies = "".join(
        f"pg_pin ({rail}) {{ pg_type : {kind}; direction : input; }}"
        for rail, kind in (("VDD", "primary_power"), ("VSS", "primary_ground"))
    )
    return f"cell ({name}) {{ area : {area}; {supplies} {' '.join(parts)} }}\n"


INVERTER = cell(
    "INV",
    1,
    'leakage_power () { value : 4; when : "A"; }',
    'leakage_power () { value : 2; when : "!A"; }',
    input_("A", 1.0, 1.2),
    output(
        "Y",
        "!A",
        timing("A", (5, 0.1, 2), (4, 0.1, 1), "negative_unate"),
        power("A", 0.3, 0.1, rail="VDD"),
        power("A", 0.05, 0.35, rail="VSS"),
    ),
)
BUFFER = cell(
    "BUF",
    2,
    "cell_leakage_power : 5;",
    input_("A", 1.0, 1.0),
    output("Y", "A", timing("A", (9, 0.1, 1), (9, 0.1, 1), "positive_unate"), power("A", 0.4, 0.4)),
)
NAND = cell(
    "NAND2",
    1.5,
    input_("A", 1.0, 1.0, hidden(0.02, 0.01, "!B")),
    input_("B", 1.1, 1.1, hidden(0.03, 0.015, "!A")),
    output(
        "Y",
        "!(A * B)",
        timing("A", (6, 0.1, 2), (6, 0.1, 2), "negative_unate"),
        timing("B", (7, 0.1, 2), (7, 0.1, 2), "negative_unate"),
        power("A", 0.2, 0.2),
        power("B", 0.25, 0.25),
    ),
)
NOR = cell(
    "NOR2",
    1.5,
    input_("A", 1.0, 1.0),
    input_("B", 1.0, 1.0),
    output(
        "Y",
        "(A + B)'",
        timing("A", (6, 0.1, 2), (6, 0.1, 2), "negative_unate"),
        timing("B", (7, 0.1, 2), (7, 0.1, 2), "negative_unate"),
        power("A B", 0.2, 0.2),
    ),
)
XOR = cell(
    "XOR2",
    3,
    input_("A", 2.0, 2.0),
    input_("B", 2.0, 2.0),
    output(
        "Y",
        "A ^ B",
        timing("A", (10, 0.1, 2), (11, 0.1, 2), "positive_unate", "!B"),
        timing("A", (12, 0.1, 2), (13, 0.1, 2), "negative_unate", "B"),
        timing("B", (14, 0.1, 2), (15, 0.1, 2), "positive_unate", "!A"),
        timing("B", (16, 0.1, 2), (17, 0.1, 2), "negative_unate", "A"),
        power("A", 0.5, 0.6, "!B"),
        power("A", 0.7, 0.8, "B"),
        power("B", 0.9, 1.0, "!A"),
        power("B", 1.1, 1.2, "A"),
    ),
)


def _adder(name: str, area: float, carry: str, total: str) -> str:
    """Return a full adder in the manner of ASAP7's: when both outputs change, both cost energy."""
    others = {"A": "B C", "B": "A C", "C": "A B"}
    carry_arcs, sum_arcs = [], []
    for pin, pair in others.items():
        first, second = pair.split()
        for k, when in enumerate((f"{first} * !{second}", f"!{first} * {second}")):
            carry_arcs += [timing(pin, (20 + k, 0.1, 3), (20 + k, 0.1, 3), "non_unate", when)]
            carry_arcs += [power(pin, 1.0 + k, 1.5 + k, when)]
        for k, when in enumerate((f"{first} ^ {second}", f"!({first} ^ {second})")):
            sum_arcs += [timing(pin, (30 + k, 0.1, 3), (30 + k, 0.1, 3), "non_unate", when)]
            sum_arcs += [power(pin, 2.0 + k, 2.5 + k, when)]
    pins = "".join(input_(pin, 2.0, 2.0) for pin in others)
    return cell(name, area, pins, output("CO", carry, *carry_arcs), output("S", total, *sum_arcs))


_CARRY, _SUM = "A B + C (A + B)", "A ^ B ^ C"
FULL_ADDER = _adder("FAI", 5, f"!({_CARRY})", f"!({_SUM})")
STRAIGHT_ADDER = _adder("FA", 5.5, _CARRY, _SUM)
HALF_ADDER = cell(
    "HAI",
    3.5,
    input_("A", 2.0, 2.0),
    input_("B", 2.0, 2.0),
    output("CON", "!(A B)", timing("A B", (8, 0.1, 2), (8, 0.1, 2)), power("A B", 0.5, 0.5)),
    output("SN", "!(A ^ B)", timing("A B", (9, 0.1, 2), (9, 0.1, 2)), power("A B", 0.6, 0.6)),
)
MAJORITY = cell(
    "MAJI",
    2,
    "".join(input_(pin, 1.0, 1.0) for pin in "ABC"),
    output(
        "Y", f"!({_CARRY})", timing("A B C", (8, 0.1, 2), (8, 0.1, 2)), power("A B C", 0.3, 0.3)
    ),
)
FLIP_FLOP = cell(
    "DFF",
    8,
    'ff (IQ, IQN) { clocked_on : "CK"; next_state : "D"; }',
    input_("D", 1.0, 1.0),
    input_("CK", 1.0, 1.0),
    'pin (Q) { direction : output; function : "IQ"; }',
)


def library(*cells: str) -> str:
    return HEADER + "".join(cells) + "}\n"


GATES = (INVERTER, BUFFER, NAND, NOR, XOR)
TINY = library(*GATES, FULL_ADDER, HALF_ADDER, MAJORITY, FLIP_FLOP)
