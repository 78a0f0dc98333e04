"""Scenarios written by a language model, cell by cell, held to the audit's rules: one concept a file, `run` has them all."""
