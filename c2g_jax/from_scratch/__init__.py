"""What only a model trained from random weights needs; the paper needs none of it.

didm           queries placed by pointing, and other departures from DIDM
sch            predicates read off image features and the geometry of masks too
relation_loss  additional losses of Click2Graph
pointing       related objects, read off the directions of image features
aid_losses     auxiliary losses of SAM2.1's features, memories and object pointers
muon           an optimizer that needs half of AdamW's steps from random weights
"""
