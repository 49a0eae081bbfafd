"""The law that metrics are examined on, under the names that tests use."""

from dpsynth.evaluation.known_law import ILL, SCHEMA, codes_of, corrupt, draw, replace

__all__ = ["ILL", "SCHEMA", "codes_of", "corrupt", "draw", "replace"]
