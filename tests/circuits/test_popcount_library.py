"""A folder of evolved popcounts: every netlist is read, and makes the errors that it states.

Set ``BITWRIGHT_POPCOUNTS`` to the folder ``pc-circuits`` of github.com/ehw-fit/approximate-popcount
(V. Mrazek et al., Evolutionary approximation of ternary neurons for on-sensor printed neural
networks, ICCAD 2024). A netlist states its mean absolute error, greatest error and share of wrong
counts in comments. Nearly 5 % of its 1,674 netlists state other errors than they make; there the
library's own Python models agree with our evaluator.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
from tests.circuits.drawn import all_patterns

from bitwright.circuits import data_joint, error_statistics, read_netlist, sampled_joint

FOLDER = os.environ.get("BITWRIGHT_POPCOUNTS", "")
LARGEST_ENUMERATED = 16
SAMPLES = 20_000


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER, reason="$BITWRIGHT_POPCOUNTS names no folder of netlists")
def test_evolved_popcounts_make_the_errors_that_they_state():
    rng = np.random.default_rng(0)
    read, wrong = 0, []
    for path in sorted(Path(FOLDER).rglob("popcount*.v")):
        stated = dict(re.findall(r"(MAE|WCE|EP)=([-+.\de]+)", path.read_text()))
        circuit = read_netlist(path)
        if circuit.inputs <= LARGEST_ENUMERATED:
            found = error_statistics(data_joint(circuit, all_patterns(circuit.inputs)))
            mean_error, share_error = 0.0, 0.0
            worst = found.worst == float(stated["WCE"])
        else:
            found = error_statistics(sampled_joint(circuit, SAMPLES, rng))
            mean_error, share_error = found.mean_absolute_error, found.probability_error
            worst = found.worst <= float(stated["WCE"])
        mean, share = float(stated["MAE"]), float(stated["EP"])
        right = (
            worst
            # Six digits are stated; an error that no sample made has no standard error.
            and abs(found.mean_absolute - mean) <= 5 * mean_error + 2e-5 * mean + 1e-3
            and abs(found.probability - share) <= 5 * share_error + 2e-5 * share + 1e-3
        )
        read += 1
        if not right:
            wrong.append(path.stem)
    assert read > 0
    assert len(wrong) <= 0.05 * read, wrong
