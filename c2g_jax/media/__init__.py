"""Pictures, videos and files: reading, decoding, run-length masks, safe writing."""
