"""Training of SAM2.1 and of Click2Graph, from a configuration file to weights.

tasks           a configuration to the task, its loaders and its export
config_files    --config on the command line: overrides checked, configs compared
loop            the steps of a run: logging, evaluation, checkpoints, export
state           the train state, and the compiled train and eval steps
optim           which parameters train, their groups, schedules and optimizers
sharding        data parallelism: mesh, batches, several processes
workdir         the folder of a run: lock, and the checkpoint to resume from
metrics         metrics.jsonl, TensorBoard, and means between two log lines
prefetch        batches loaded onto the device by a thread
interrupt       Ctrl-C ends the run after the current step
step_trace      profiler traces of some steps
temperature     temperatures of class logits, from clips that were held out
segmenter/      SAM2.1 itself: initialisation, prompts, memory, losses
"""
