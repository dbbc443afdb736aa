"""Published claims, recomputed from scratch on networks that ship with Bitwright.

One module a family; import it from there: this one loads nothing.
"""
