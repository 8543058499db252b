"""Every kind of finding, in the words of the lines before training and of the data doctor.

What a user must mend (error), should look at (warning), and may like to know (note): see ``Kind``.
"""

from __future__ import annotations

from finetune.data.findings import Kind

# the files
ANNOTATIONS_UNREADABLE = Kind("annotations-unreadable", "error", "annotation files cannot be read", "export the annotations again")
ANNOTATIONS_MISSING = Kind("annotations-missing", "error", "listed pictures have no annotation file", "take them out of the list, or write an XML without objects for a picture that shows nothing")
IMAGE_ENTRY_BROKEN = Kind("image-entry-broken", "error", "image entries have no usable id or file name", "give every image its own id and a file_name")
IMAGE_ID_TWICE = Kind("image-id-twice", "error", "image ids are used twice", "give every image its own id")
ANNOTATION_ID_TWICE = Kind("annotation-id-twice", "warning", "annotation ids are used twice", "give every annotation its own id; COCO tools keep only the last of each id")
ANNOTATION_BROKEN = Kind("annotation-broken", "error", "annotations are no objects with fields", "export the annotations again, or take them out")
ANNOTATION_ORPHAN = Kind("annotation-orphan", "error", "annotations of images that the file does not list dropped", "list the images, or take the annotations out")
SEVERAL_FILES = Kind("image-in-several-files", "note", "images are in several annotation files: their boxes are joined", "nothing, if that is meant")
SEVERAL_IDS = Kind("image-id-in-several-files", "note", "image ids are used in several annotation files: the file's name goes before them", "nothing")
SPLIT_EMPTY = Kind("split-empty", "error", "splits have no images", "list images in them, or leave them out with data.val [] or data.test []")

# classes
CATEGORY_BROKEN = Kind("category-broken", "error", "categories have no usable id and name", "give every category an integer id and a name")
CATEGORY_ID_TWICE = Kind("category-id-twice", "error", "category ids are used for two names", "give every category its own id")
CATEGORY_UNKNOWN = Kind("category-unknown", "error", "annotations have a category that the file does not list", "add the category, or take the annotations out")
OBJECT_NAMELESS = Kind("object-nameless", "error", "objects have no name", "add one, or take the object out")
CLASS_PARENT = Kind("class-only-parent", "note", "classes left out that are only the parent of the others", "nothing; data.include brings one back")
CLASS_RENUMBERED = Kind("class-renumbered", "note", "class maps renumbered 1..C, because the files use one category id for different names", "nothing; results are written with the new ids")
CLASS_LEFT_OUT = Kind("class-left-out", "note", "boxes of classes that are not included left out", "nothing, if data.include is meant so")

# pictures
PICTURE_MISSING = Kind("picture-missing", "error", "pictures are missing", "put them there, or set data.images to their folder")
PICTURE_ORPHAN = Kind("picture-orphan", "warning", "pictures without an XML file left out", "annotate them; a picture that shows nothing is an XML without objects")
PICTURE_UNROTATED = Kind("picture-unrotated", "note", "pictures with an EXIF rotation are read without it, because their annotations are", "nothing; other tools may turn them")
SIZE_DIFFERS = Kind("size-differs", "warning", "pictures have another size than their annotations say; boxes are taken as pixels of the file", "scale boxes that were drawn on a copy of that size")

# boxes
BOX_UNUSABLE = Kind("box-unusable", "error", "annotations without a usable box dropped", "write four finite numbers, or take the annotations out")
BOX_CLIPPED = Kind("box-outside", "warning", "boxes reach outside their picture and are clipped", "clip them; if there are many, look whether they were drawn on another size")
BOX_DROPPED = Kind("box-empty", "error", "boxes without area (or outside their picture) dropped", "draw them again, or take them out")
