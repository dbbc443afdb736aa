"""Families of binary hardware, one folder each."""

from bitwright.targets.base import Simulation, Target, get_target, target_names

__all__ = ["Simulation", "Target", "get_target", "target_names"]
