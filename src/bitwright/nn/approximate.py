"""Approximate popcounts in a network's forward pass, by torch's own hooks.

Nothing in torch is patched and nothing compiled is needed to train with them; taking the hooks off
gives the network back as it was. What a circuit does can be injected by four methods, from the
coarsest abstraction to the circuit itself:

- ``uniform``: each bit behind a layer flips at the rate at which the circuit flips random ones.
- ``margin``: it flips with the probability that goes with the count's distance from its threshold.
- ``table``: the count is replaced by a value drawn from P(value | count).
- ``circuit``: the count is replaced by the circuit's, on the very bits that it would see.

The first three are probabilities of independent inputs of density 1/2, drawn by torch's generator.
In all four the gradient is that of the exact layer (``straight`` through). With ``circuit`` it can
be that of the circuit's first ``gates`` instead (`bitwright.nn.gate_gradient`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from bitwright.circuits import Circuit, flip_given_count, flips, joint, make, value_given_count
from bitwright.errors import ConfigError
from bitwright.nn.activations import per_channel
from bitwright.nn.circuit_dot import circuit_dot
from bitwright.nn.gate_gradient import Terms, first_gates, with_gates_gradient
from bitwright.nn.recipe import Approximation
from bitwright.nn.sites import Site, find_sites

Method = Literal["uniform", "margin", "table", "circuit"]
METHODS: tuple[Method, ...] = get_args(Method)

Gradient = Literal["straight", "gates", "leading"]
GRADIENTS: tuple[Gradient, ...] = get_args(Gradient)

_DRAWS = 1 << 10
"""Equally likely outcomes by which P(value | count) is drawn."""

Hook = Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]


def layer_circuits(
    sites: Mapping[str, Site],
    circuit: str,
    layers: Sequence[str] = (),
    own: Mapping[str, str] | None = None,
) -> dict[str, Circuit]:
    """Return the circuits of a network's layers.

    Parameters
    ----------
    sites
        The layers that can have one (`bitwright.nn.sites.find_sites`).
    circuit
        Which popcount, as `bitwright.circuits.parse` reads it.
    layers
        The layers that have it; if none is named, all with a sign behind them.
    own
        Layers that have another one.

    Raises
    ------
    ConfigError
        If a layer cannot have a circuit, or the popcount is not valid.
    CircuitError
        If there is no such circuit of a layer's fan-in.
    """
    names = layers or [name for name, site in sites.items() if site.sign is not None]
    specs = dict.fromkeys(names, circuit) | dict(own or {})
    for name in specs:
        if name not in sites:
            raise ConfigError(
                f"'{name}' is no layer of bits",
                f"layers that circuits can do: {', '.join(sites) or 'none'}",
            )
    return {
        name: make(spec, sites[name].layer.fan_in, sites[name].kernel)
        for name, spec in specs.items()
    }


@contextmanager
def approximate(
    sites: Mapping[str, Site],
    circuits: Mapping[str, Circuit],
    method: Method = "circuit",
    gradient: Gradient = "straight",
) -> Iterator[None]:
    """Let a network's layers count as circuits do, as long as the context lasts.

    Parameters
    ----------
    sites
        The network's layers of bits.
    circuits
        A circuit for each layer that is to have one.
    method
        What stands for the circuit.
    gradient
        Whose gradient a layer has: "straight", its own as if it counted exactly; or, with the
        method "circuit" only, that of the circuit's first "gates", or of the "leading" terms of
        their polynomials.

    Raises
    ------
    ConfigError
        If there is no such method or gradient, they do not go together, flips are to be injected
        behind a layer without a sign, or gates have no gradient.
    """
    for key, value, known in (("method", method, METHODS), ("gradient", gradient, GRADIENTS)):
        if value not in known:
            raise ConfigError(f"{key} is {value!r}", f"use one of {', '.join(known)}")
    if gradient != "straight" and method != "circuit":
        raise ConfigError(
            f"the method {method!r} has no gates whose gradient could be taken",
            "use the method 'circuit', or the gradient 'straight'",
        )
    hook_of = _GRADIENT_HOOKS.get(gradient, _HOOKS[method])
    handles = []
    try:
        for name, circuit in circuits.items():
            module, hook = hook_of(sites[name], circuit)
            handles.append(module.register_forward_hook(hook))
        yield
    finally:
        for handle in handles:
            handle.remove()


def counting(
    network: nn.Module, wanted: Approximation | None, images: Tensor, *, training: bool
) -> AbstractContextManager[None]:
    """Return a context in which a network counts as a recipe has it.

    Parameters
    ----------
    network
        The network.
    wanted
        Its approximate popcounts, if there are any.
    images
        Some that it takes, uint8 (N, height, width, channels).
    training
        Whether the recipe's method stands for the circuits, or they count themselves.

    Raises
    ------
    ConfigError, CircuitError
        If there is no such circuit, or a layer that cannot have one.
    """
    if wanted is None:
        return nullcontext()
    method = wanted.method if training else "circuit"
    if method == "none":
        return nullcontext()
    sites = find_sites(network, images[:2].permute(0, 3, 1, 2))
    circuits = layer_circuits(sites, wanted.circuit, wanted.layers, wanted.circuits)
    return approximate(sites, circuits, method, wanted.gradient if training else "straight")


def _circuit(site: Site, circuit: Circuit) -> tuple[nn.Module, Hook]:
    layer = site.layer

    def hook(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        dot = circuit_dot(layer, circuit, inputs[0], site.kernel).to(output.dtype)
        return _replaced(output, layer.scaled(dot))

    return layer, hook


def _gates(site: Site, circuit: Circuit, terms: Terms = "all") -> tuple[nn.Module, Hook]:
    layer, kernel = site.layer, site.kernel
    first_gates(circuit)  # a circuit without a gradient is refused before anything runs

    def hook(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        dot = circuit_dot(layer, circuit, inputs[0], kernel).to(output.dtype)
        if torch.is_grad_enabled():
            dot = with_gates_gradient(layer, circuit, inputs[0], kernel, dot, terms)
        return layer.scaled(dot)

    return layer, hook


def _table(site: Site, circuit: Circuit) -> tuple[nn.Module, Hook]:
    layer = site.layer
    drawn = joint(circuit)
    given = value_given_count(drawn)
    never = np.isnan(given).any(axis=0)
    given[:, never] = 0
    given[np.abs(drawn.errors).argmin(axis=0)[never], never] = 1  # counts that never occur
    places = (np.arange(_DRAWS) + 0.5) / _DRAWS
    rows = np.stack([np.searchsorted(p.cumsum(), places) for p in given.T])
    matches = drawn.values[np.minimum(rows, len(drawn.values) - 1)] // circuit.divisor
    table = torch.from_numpy(matches.astype(np.float32))

    def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        scales = layer.scales()
        dot = output.detach().float()
        if scales is not None:
            dot = dot / per_channel(scales, dot)
        count = ((dot + layer.fan_in) / 2).round().clamp_(0, layer.fan_in).long()
        draw = torch.randint_like(count, _DRAWS)
        dot = 2 * table.to(output.device)[count, draw] - layer.fan_in
        return _replaced(output, layer.scaled(dot.to(output.dtype)))

    return layer, hook


def _uniform(site: Site, circuit: Circuit) -> tuple[nn.Module, Hook]:
    _, sign = _threshold(site)
    middle = (circuit.inputs + 1) // 2
    rate = flips(joint(circuit), middle).best

    def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return _flip(output, torch.rand_like(output) < rate)

    return sign, hook


def _margin(site: Site, circuit: Circuit) -> tuple[nn.Module, Hook]:
    norm, sign = _threshold(site)
    middle = (circuit.inputs + 1) // 2
    drawn = joint(circuit)
    given = flip_given_count(drawn, middle, flips(drawn, middle).best_cutoff)
    # What is known at the middle threshold holds at others, by distance from the threshold.
    rates = torch.from_numpy(np.nan_to_num(given).astype(np.float32))

    def hook(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        spread = torch.sqrt(_known(norm.running_var) + norm.eps)
        own = torch.ones_like(spread) if norm.weight is None else norm.weight
        gain = _away_from_zero(own * _scale(site))
        margin = inputs[0].detach().float() * per_channel(spread / (2 * gain), inputs[0].float())
        at = (margin + middle).round().clamp_(0, len(rates) - 1).long()
        return _flip(output, torch.rand_like(margin) < rates.to(output.device)[at])

    return sign, hook


_HOOKS: dict[Method, Callable[[Site, Circuit], tuple[nn.Module, Hook]]] = {
    "uniform": _uniform,
    "margin": _margin,
    "table": _table,
    "circuit": _circuit,
}
_GRADIENT_HOOKS: dict[Gradient, Callable[[Site, Circuit], tuple[nn.Module, Hook]]] = {
    "gates": _gates,
    "leading": partial(_gates, terms="leading"),
}


class _StraightThrough(torch.autograd.Function):
    """Takes one tensor's values and another's gradient."""

    @staticmethod
    def forward(_context: Any, _output: Tensor, value: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(_context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


def _replaced(output: Tensor, value: Tensor) -> Tensor:
    """Return other values in place of a layer's; the gradient stays the layer's."""
    return _StraightThrough.apply(output, value.detach())  # type: ignore[no-any-return, no-untyped-call]


def _threshold(site: Site) -> tuple[nn.BatchNorm1d | nn.BatchNorm2d, nn.Module]:
    if site.norm is None or site.sign is None:
        raise ConfigError(
            f"no sign follows on '{site.name}' whose bits could flip",
            "use the method 'table' or 'circuit'",
        )
    return site.norm, site.sign


def _flip(output: Tensor, where: Tensor) -> Tensor:
    """Change the sign of some bits; the gradient passes as if they had not changed."""
    return _replaced(output, torch.where(where, -output, output))


def _scale(site: Site) -> Tensor | float:
    scales = site.layer.scales()
    return 1.0 if scales is None else scales.detach()


def _away_from_zero(gain: Tensor) -> Tensor:
    return torch.where(gain.abs() < 1e-6, 1e-6, gain)


def _known(tensor: Tensor | None) -> Tensor:
    if tensor is None:
        raise ConfigError("a BatchNorm keeps no statistics", "build it with track_running_stats")
    return tensor
