"""The integer cell and what leads to it: float model, quantization, genome, NumPy reference, binding of the C core."""
