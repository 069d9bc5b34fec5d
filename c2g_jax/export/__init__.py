"""A scene graph in the file formats of this project and others.

scene_graph_json  scene_graph.json, written and read; its schema is beside it
coco              masks as COCO instances
open_pvsg         a folder in the layout of OpenPVSG
graphml           a graph for networkx, Gephi and Cytoscape
csv               relations as rows
names             names as text that every reader takes
overlay           masks, names and relations drawn on the video
report            the printed table of relations, and progress bars
"""
