"""Images, videos and files.

video       open a video file, folder, image or arrays; write mp4
decoding    the frames of a video file: which there are, and reading them
display     how decoded pictures are shown: orientation, shape of pixels
frames      `Video`, a stream of sampled frames, and its sources in images and arrays
images      single images: reading, conversion to RGB, resizing
masks       masks that people give, from arrays and pictures
rle         masks as COCO run-length encodings
outputs     atomic writing of files and folders
spill       arrays set aside in a temporary file
json_lines  reading of JSON Lines files
"""
