"""MiniLM without torch: fetched, converted to an int8 ONNX graph, and run on the CPU."""
