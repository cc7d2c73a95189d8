"""Data sets: readers for what lies in a folder, and the packaged demo sets. Needs no torch."""
