"""From prompts on a video to its scene graph: `python -m c2g_jax.predict`.

__main__      the command: builds the model, tracks, writes the results
flags         its flags, checked and turned into a job
prompts_file  prompts in a JSON file
"""
