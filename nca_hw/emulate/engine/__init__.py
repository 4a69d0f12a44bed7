"""C that is compiled where it runs: libsimavr is no Python package, so no wheel can hold what is linked with it."""
