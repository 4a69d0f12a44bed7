"""Firmware: a genome and a board to C, and C to an image that fits its budgets.

    render      genome and board to sources
    toolchain   sources to ELF, with the compiler that comes with pip; compiler: how it is called
    image       what an ELF holds: bytes by part, RAM, stack
    build       all of it, into a folder, which is a PlatformIO project: project; steps: what is copied into it
"""
