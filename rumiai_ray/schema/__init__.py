"""Versioned schemas of every table of a run, declared once; imported by producers, writers and readers alike."""

from rumiai_ray.schema.table import SchemaError, Table, column

__all__ = ["SchemaError", "Table", "column"]
