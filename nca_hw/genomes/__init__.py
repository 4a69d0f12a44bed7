"""The genomes that ship with the package, with their target pictures. Data, not code."""
