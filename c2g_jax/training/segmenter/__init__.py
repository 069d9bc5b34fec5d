"""Training SAM2.1 itself on prompted masks."""
