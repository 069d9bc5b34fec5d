"""From a prepared data set to batches of clips of fixed shape.

stored        the files of a prepared data set
records       the annotations of a video
dataset       videos and frames of a data set, at random or as a stream
sampling      the frames at which a video's clips can start
clip_config   the settings of a clip
clips         a clip as arrays: frames, segments, objects, relations, prompts
prompts       points and boxes drawn from true masks
augmentation  mirrored and colour-jittered clips
pasting       things of other videos pasted onto a clip
loader        endless batches in worker processes, resumable bit for bit
masks         masks of a clip's objects, on the device
graph         the annotation of a video as a scene graph
"""
