"""Training of SAM2.1 itself, from random weights or from a checkpoint.

task            the task for the loop: model, loss, and which parts train
recipe          how a step prompts and corrects its clips
clip            the forward pass of a clip: prompts, corrections, memory
clip_memory     what a clip remembers of its frames, and what each attends to
clicks          points and boxes drawn from true masks on the device
loss            the losses of masks, predicted IoUs and object scores
initialisation  random weights that memory attention can learn from
"""
