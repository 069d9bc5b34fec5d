"""From prompts on a video to its scene graph: `python -m c2g_jax.predict`.

__main__      the command: builds the model, tracks, writes the results
flags         its flags, and which values they accept
job           what the flags ask for, checked before the model is loaded
films         a folder of films, and which of them are done
prompts_file  prompts in a JSON file
automatic     without a prompt: subjects are found first
results       the files that are written, and what reproduces them
"""
