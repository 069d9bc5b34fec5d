"""Parameters and models in files: safetensors, Orbax, whole models."""
