"""Features of the frozen part of a backbone, computed once and read while the rest trains."""
