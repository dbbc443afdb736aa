"""Sweeps and search: many designs of one family, side by side.

Import them from their modules: this one loads nothing.
"""
