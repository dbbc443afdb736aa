"""Circuits of columns: two rails with a cell at every row, solved exactly."""
