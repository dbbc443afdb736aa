"""Trained networks, each a program file with a card and a certificate beside it."""

from bitwright.zoo.catalogue import Card, card, downloadable, locate, names, own_settings
from bitwright.zoo.download import get

__all__ = ["Card", "card", "downloadable", "get", "locate", "names", "own_settings"]
