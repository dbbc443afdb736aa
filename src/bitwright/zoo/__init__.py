"""Trained networks that ship with the package, each a program file with a card beside it."""

from bitwright.zoo.catalogue import Card, card, locate, names

__all__ = ["Card", "card", "locate", "names"]
