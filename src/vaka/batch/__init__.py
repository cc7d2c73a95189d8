"""Batch inference: every row of an input gets exactly one row of results, however often it is interrupted."""
