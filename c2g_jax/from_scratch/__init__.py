"""What only a model trained from random weights needs; the paper needs none of it.

aid_losses  auxiliary losses of features, memories and object pointers
pointing    related objects, read off the directions of image features
muon        an optimizer for matrices, twice as fast as AdamW from random weights
"""
