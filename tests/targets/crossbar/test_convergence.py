"""What records say of the solver: steps, fallbacks, the worst move; however batches are put."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.networks import classifier, labelled

from bitwright import flow
from bitwright.targets import get_target
from bitwright.targets.crossbar.convergence import convergence, solving
from bitwright.targets.crossbar.simulate import arrays_of
from bitwright.targets.crossbar.solver import columns as solver
from bitwright.targets.crossbar.solver.columns import Solution

TARGET = get_target("crossbar")
SHAPE = (4, 4, 1)
PROGRAM = classifier(1, SHAPE)
DATA = labelled(1, SHAPE, count=150)
WIRES = {"source_ohm": 20.0, "bit_ohm": 20.0}
SETTINGS = {"technology": "sram8t", "wires": WIRES, "sample": 0}
NAMES = ("columns_solved", "newton_steps", "fallbacks", "last_move", "residual")


def lowered(**settings):
    return TARGET.lower(PROGRAM, TARGET.configure(SETTINGS | settings))


def measured(design, *batches):
    """Return what is measured of batches, whose counters are added up as `flow` does."""
    counters = {}
    for images in batches:
        for name, value in TARGET.simulate(design, images, 1).counters.items():
            counters[name] = counters.get(name, 0) + value
    return {m.metric: m for m in convergence(design, counters)}


def solutions(design, monkeypatch, images):
    """Return every `Solution` of a batch by layer."""
    found = {}
    for name, arrays in arrays_of(design).items():
        monkeypatch.setattr(arrays, "reads", _listing(arrays, found.setdefault(name, [])))
    TARGET.simulate(design, images, 1)
    monkeypatch.undo()
    return found


def _listing(arrays, found):
    reads = arrays.reads

    def listing(value):
        for read in reads(value):
            found.append(read.solution)
            yield read

    return listing


@pytest.mark.parametrize("technology", ["sram8t", "reram1t1r"])
def test_measurements_are_the_solutions_put_together(technology, monkeypatch):
    design, images = lowered(technology=technology), DATA.images[:20]
    every = solutions(design, monkeypatch, images)
    found = measured(design, images)
    for end, own in ((f"/{name}", every[name]) for name in design.layers):
        assert found[f"columns_solved{end}"].value == sum(s.columns for s in own) / 20
        steps = sum(s.steps for s in own) / sum(s.groups for s in own)
        assert found[f"newton_steps{end}"].value == pytest.approx(steps)
        worst = max(s.last_move for s in own)
        assert worst <= found[f"last_move{end}"].value <= 1.1 * worst
        left = max(s.residual for s in own if s.residual is not None)
        assert left <= found[f"residual{end}"].value <= 1.1 * left
        # Newton's method squares what is wrong, in units of the voltage over which cells bend: a
        # few of these make the read voltage.
        assert left < 10 * worst**2 + 1e-12
        assert found[f"fallbacks{end}"].value == 0
    flat = [solution for own in every.values() for solution in own]
    assert found["columns_solved"].value == sum(s.columns for s in flat) / 20
    assert found["last_move"].value == max(found[f"last_move/{n}"].value for n in every)
    assert found["residual"].value == max(
        found[f"residual/{n}"].value for n in every if f"residual/{n}" in found
    )
    assert 0.5 < found["newton_steps"].value < 4
    assert {found[name].method for name in NAMES[1:]} == {"simulated"}
    assert found["columns_solved"].method == "counted"


def test_columns_of_repeated_patterns_are_solved_once(monkeypatch):
    design, image = lowered(), DATA.images[:1]
    once = measured(design, image)["columns_solved/d2"].value
    assert measured(design, np.repeat(image, 4, axis=0))["columns_solved/d2"].value == once / 4
    read = next(iter(arrays_of(design)["d2"].reads(np.ones((3, 4, 4, 70), bool))))
    assert read.solution.columns < read.currents.size


def test_batches_and_threads_change_nothing():
    design, images = lowered(sigma=0.3), DATA.images[:48]
    whole = measured(design, images)
    assert measured(design, *np.split(images, [16, 24])) == whole
    counters = TARGET.simulate(design, images, 3).counters
    assert {m.metric: m for m in convergence(design, counters)} == whole


def test_a_record_has_them_wherever_it_was_stopped(tmp_path):
    class StopError(Exception):
        pass

    def run(folder, stop=None):
        def progress(what, done, _of):
            if what == "images" and stop is not None and done >= stop:
                raise StopError

        return flow.evaluate(
            PROGRAM, DATA, target="crossbar", config=SETTINGS, threads=1, progress=progress,
            resume=folder,
        ).record  # fmt: skip

    whole = run(None)
    with pytest.raises(StopError):
        run(tmp_path, stop=64)
    resumed = run(tmp_path)
    for name in NAMES:
        for end in ("", "/d2", "/scores"):
            assert resumed[f"{name}{end}"] == whole[f"{name}{end}"]
    assert whole["last_move"].value > 0
    assert whole["last_move"].value == max(whole[f"last_move/{n}"].value for n in ("d2", "scores"))


def test_the_worst_batch_is_told(monkeypatch):
    """Of three batches the middle one alone has steps that are not small, and a fallback."""
    design, images = lowered(), DATA.images[:24]
    plain = measured(design, images)
    solve = solver.Columns.solve
    calls = []

    def worse(self, *given):
        found = solve(self, *given)
        calls.append(found)
        if len(calls) == 20:
            return replace(found, last_move=0.0123, residual=1.5e-4, fallbacks=2)
        return found

    monkeypatch.setattr(solver.Columns, "solve", worse)
    found = measured(design, *np.split(images, 3))
    assert found["last_move"].value == pytest.approx(0.013)
    assert found["residual"].value == pytest.approx(1.5e-4)
    assert found["fallbacks"].value == 2
    assert len([n for n in design.layers if found[f"fallbacks/{n}"].value]) == 1
    assert found["newton_steps"] == plain["newton_steps"]


def test_marching_has_no_steps_and_ideal_cells_are_not_solved(monkeypatch):
    images = DATA.images[:3]
    linear = lowered(technology="linear")
    found = measured(linear, images)
    assert set(found) == {"columns_solved", "columns_solved/d2", "columns_solved/scores"}
    conversions = TARGET.simulate(linear, images, 1).counters["conversions/d2"]
    assert found["columns_solved/d2"].value == conversions / 3
    assert not measured(lowered(technology="ideal"), images)
    monkeypatch.setattr(solver, "MARCH_GROWTH", -1.0)
    eliminated = measured(lowered(technology="linear"), images)
    assert eliminated["last_move"].value == 0
    assert 0 < eliminated["newton_steps"].value <= 1


@pytest.mark.parametrize(
    ("move", "named"),
    [(0.0, "0.0e"), (1.2e-7, "1.2e-7"), (1.20000001e-7, "1.3e-7"), (9.95e-5, "1.0e-4"), (1.0, "1")],
)
def test_moves_are_rounded_up(move, named):
    counters = solving(Solution(np.zeros((1, 1)), move, None, 3, 2, 0, 1))
    (key,) = (key for key in counters if key.startswith("last_move<="))
    assert key.removeprefix("last_move<=").startswith(named)
    assert move <= float(key.removeprefix("last_move<=")) <= 1.1 * move
    assert counters[key] == 1
