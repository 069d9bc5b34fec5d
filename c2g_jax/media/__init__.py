"""Images, videos and files.

video       open a video file, folder, image or arrays; write mp4
frames      `Video`, a stream of sampled frames, and its sources in images and arrays
images      single images: reading, conversion to RGB, resizing
rle         masks as COCO run-length encodings
outputs     atomic writing of files and folders
spill       arrays set aside in a temporary file
json_lines  reading of JSON Lines files
"""
