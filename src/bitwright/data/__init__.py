"""Data sets: located or downloaded, verified, and in memory as uint8 NHWC images with labels."""

from bitwright.data.dataset import SPLITS, Dataset
from bitwright.data.loader import SAMPLE, available, load
from bitwright.data.streams import Progress

__all__ = ["SAMPLE", "SPLITS", "Dataset", "Progress", "available", "load"]
