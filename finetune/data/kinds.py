"""Every kind of finding, in the words of the lines before training and of the data doctor.

What a user must mend (error), should look at (warning), and may like to know (note): see ``Kind``.
"""

from __future__ import annotations

from finetune.data.findings import Kind

# the files
ANNOTATIONS_UNREADABLE = Kind("annotations-unreadable", "error", "annotation file[|s] cannot be read", "export the annotations again")
ANNOTATIONS_MISSING = Kind("annotations-missing", "error", "listed picture[|s] [has|have] no annotation file", "take it out of the list; a picture that shows nothing needs an XML without objects")
ANNOTATIONS_UNLISTED = Kind("annotations-unlisted", "note", "annotation file[|s] [is|are] in no list", "add the name to a list of ImageSets, if it is to be used")
IMAGE_ENTRY_BROKEN = Kind("image-entry-broken", "error", "image entr[y|ies] [has|have] no usable id or file name", "give every image its own id and a file_name")
IMAGE_ID_TWICE = Kind("image-id-twice", "error", "image id[|s] [is|are] used twice", "give every image its own id")
ANNOTATION_ID_TWICE = Kind("annotation-id-twice", "warning", "annotation id[|s] [is|are] used twice", "give every annotation its own id: COCO tools keep only the last one of an id")
ANNOTATION_BROKEN = Kind("annotation-broken", "error", "annotation[|s] [is no object|are no objects] with fields", "export the annotations again, or take it out")
ANNOTATION_ORPHAN = Kind("annotation-orphan", "error", "annotation[|s] of images that the file does not list dropped", "list the image, or take the annotation out")
ID_RETYPED = Kind("image-id-retyped", "note", "annotation[|s] [writes|write] the image id as text and the image as number, or the reverse: taken as equal", "nothing here; pycocotools finds no image")
SEVERAL_FILES = Kind("image-in-several-files", "note", "image[|s] [is|are] in several annotation files: [its|their] boxes are joined", "nothing, if that is meant")
SEVERAL_IDS = Kind("image-id-in-several-files", "note", "image id[|s] [is|are] used in several annotation files: the file's name goes before [it|them]", "nothing to do")
SPLIT_EMPTY = Kind("split-empty", "error", "split[|s] [has|have] no images", "list images in it, or leave it out, as with data.test []")
TRAIN_EMPTY = Kind("train-without-boxes", "error", "training split[|s] [has|have] no box to learn", "annotate objects, or look at data.include and data.rename")

# classes
CATEGORY_BROKEN = Kind("category-broken", "error", "categor[y|ies] [has|have] no usable id and name", "give every category an integer id and a name")
CATEGORY_ID_TWICE = Kind("category-id-twice", "error", "category id[|s] [is|are] used for two names", "give every category its own id")
CATEGORY_UNKNOWN = Kind("category-unknown", "error", "annotation[|s] [has|have] a category that the file does not list", "add the category, or take the annotation out")
OBJECT_NAMELESS = Kind("object-nameless", "error", "object[|s] [has|have] no name", "add one, or take the object out")
CLASSES_NONE = Kind("classes-none", "error", "data set[|s] [names|name] no class", "list the classes in the annotation files")
CLASS_PARENT = Kind("class-only-parent", "note", "class[|es] left out that [is|are] only the parent of the others", "nothing; data.include brings it back")
CLASS_RENUMBERED = Kind("class-renumbered", "note", "class map[|s] renumbered 1..C, because the files use one category id for different names", "nothing; results are written with the new ids")
CLASS_LEFT_OUT = Kind("class-left-out", "note", "[box of a class that is|boxes of classes that are] not included left out", "nothing, if data.include is meant so")
CLASS_UNUSED = Kind("class-unused", "warning", "class[|es] [has|have] no box in any split", "annotate it, or leave it out with data.include")
CLASS_NOT_IN_TRAIN = Kind("class-not-in-train", "warning", "class[|es] [has|have] boxes, but none in train", "annotate training pictures that show it, or leave it out with data.include")
CLASS_NOT_IN_SPLIT = Kind("class-not-in-split", "note", "class[|es] [has|have] boxes in train, but none in a split that scores", "nothing; its score will be missing there")
CLASS_RARE = Kind("class-rare", "note", "class[|es] [has|have] fewer than 10 boxes in train", "annotate more of it, or expect little")
CLASS_ALIKE = Kind("class-names-alike", "warning", "class name[|s] [differs|differ] from another only in case, spaces or signs", "if it is one class, merge the names with data.rename")

# pictures
PICTURE_MISSING = Kind("picture-missing", "error", "picture[|s] [is|are] missing", "put it there, or set data.images to its folder")
PICTURE_ELSEWHERE = Kind("picture-elsewhere", "note", "picture[|s] [is|are] not where the annotations say, but found by [its|their] name", "nothing, if it is the right picture")
PICTURE_NAME = Kind("picture-name-bytes", "error", "picture[|s] [has a name that is|have names that are] not UTF-8", "rename it, or unpack the archive again with the encoding of its names")
PICTURE_UNREADABLE = Kind("picture-unreadable", "error", "picture[|s] cannot be read", "replace it, or take it out of the annotations")
PICTURE_DAMAGED = Kind("picture-damaged", "error", "picture[|s] [is|are] damaged inside: a part is lost", "replace it, or take it out of the annotations")
PICTURE_BYTES = Kind("picture-odd-bytes", "warning", "JPEG picture[|s] [has|have] bytes that do not belong", "look whether it is whole; saving it again takes them out")
PICTURE_ORPHAN = Kind("picture-orphan", "warning", "picture[|s] without an XML file left out", "annotate it; a picture that shows nothing is an XML without objects")
PICTURE_UNLISTED = Kind("picture-unlisted", "note", "picture[|s] [lies|lie] beside the others, but no annotation names [it|them]", "annotate it, if it is to be used")
PICTURE_EMPTY = Kind("picture-without-boxes", "note", "picture[|s] [has|have] no boxes", "nothing, if it shows no object: it teaches as a negative; data.keep_empty false leaves it out")
PICTURE_UNROTATED = Kind("picture-unrotated", "note", "picture[|s] with an EXIF rotation [is|are] read without it, because [its|their] annotations are", "nothing; other tools may turn it")
PICTURE_ROTATED = Kind("picture-rotated", "note", "picture[|s] [is|are] turned by [its|their] EXIF rotation; boxes count in the upright one[|s]", "look whether its boxes fit")
SIZE_DIFFERS = Kind(
    "size-differs", "warning", "picture[|s] [has|have] another size than [its|their] annotations say; boxes are taken as pixels of the file", "scale boxes that were drawn on a copy of that size"
)
LEAK = Kind("duplicate-across-splits", "error", "picture[|s] of train [is|are] also in val or test: scores are too good", "take it out of train")
LEAK_NEAR = Kind("near-duplicate-across-splits", "warning", "picture[|s] of train [looks|look] almost like one of val or test: scores may be too good", "keep pictures of one scene in one split")
SAME_PICTURE = Kind("duplicate-picture", "warning", "picture[|s] [is a copy|are copies] of another in the same split", "take the copy out, or join its boxes with the other's")
SIMILAR_PICTURE = Kind("near-duplicate-picture", "note", "picture[|s] [looks|look] almost like another in the same split", "nothing; it teaches little that the other does not")

# boxes
BOX_UNUSABLE = Kind("box-unusable", "error", "annotation[|s] without a usable box dropped", "write four finite numbers, or take the annotation out")
BOX_OF_POLYGON = Kind("box-of-polygon", "note", "annotation[|s] without bbox [gets|get] the box around [its|their] polygons", "nothing to do")
BOX_CLIPPED = Kind("box-outside", "warning", "box[|es] [reaches|reach] outside [its|their] picture and [is|are] clipped", "clip it; if there are many, look whether they were drawn on another size")
BOX_EMPTY = Kind("box-empty", "error", "box[|es] without area dropped", "draw it again, or take it out")
BOX_INVERTED = Kind("box-inverted", "error", "box[|es] whose right or lower edge comes first dropped", "swap its corners; COCO widths and heights are positive")
BOX_OFF = Kind("box-off-picture", "error", "box[|es] wholly outside [its|their] picture dropped", "look whether it belongs to another picture, or was drawn on another size")
BOX_ALL_BAD = Kind("box-all-bad", "error", "split[|s] [has|have] no box that lies in its picture", "boxes are pixels: x, y, width, height in COCO, corners in VOC")
BOX_TWICE = Kind("box-twice", "warning", "box[|es] [is|are] written twice, with the same class", "take the copy out: an object counts once")
BOX_TWO_CLASSES = Kind("box-two-classes", "warning", "box[|es] [is|are] written again with another class", "choose one class, unless the object really has two")
BOX_TINY = Kind("box-tiny", "warning", "box[|es] [is|are] less than 3 pixels wide or high at the input size", "raise data.input_size, or leave such objects out")
BOX_WHOLE = Kind("box-whole-picture", "note", "box[|es] [covers its|cover their] whole picture", "nothing, if the object really fills it")
VOC_ZERO = Kind("one-based-zero", "warning", "split[|s] [has|have] VOC coordinates of 0, while one_based counts from 1", "set data.one_based false, if they count from 0")
VOC_BEYOND = Kind("one-based-beyond", "warning", "split[|s] [has|have] VOC coordinates one pixel beyond the picture", "look whether the tool that wrote them counts from 0 or from 1")
VOC_NEVER_ZERO = Kind("zero-based-one", "warning", "split[|s] [has|have] VOC coordinates that start at 1, while one_based is false", "set data.one_based true, if they count from 1")

# anchors
ANCHOR_LOW = Kind("anchor-overlap", "warning", "box[|es] [overlaps|overlap] no anchor by the matcher's threshold", "choose ssdlite.anchors square with ssdlite.matcher tal, or another data.input_size")
ANCHOR_SHARED = Kind("anchor-shared", "warning", "box[|es] [shares its|share their] only anchor with another and may not be learnt", "raise data.input_size, or add a finer pyramid level")

# words
WORD_UNREADABLE = Kind("word-unreadable", "error", "line[|s] [is|are] no word and left out", "mend the line, or take it out")
TEXT_NOT_UTF8 = Kind("text-not-utf8", "warning", "annotation file[|s] [is|are] not UTF-8: letters are lost", "save it as UTF-8, if the transcriptions matter")
PICTURE_UNANNOTATED = Kind("picture-unannotated", "warning", "picture[|s] without an annotation file of [its|their] own left out", "annotate it; a picture without text has an empty annotation file")
PICTURE_WITHOUT_WORDS = Kind("picture-without-words", "note", "picture[|s] [has|have] no words", "nothing, if it shows no text: it teaches as a negative; data.keep_empty false leaves it out")
TRAIN_WORDLESS = Kind("train-without-words", "error", "training split[|s] [has|have] no word to learn", "annotate words that can be read: ignored ones (###) teach nothing")
WORD_EMPTY = Kind("word-empty", "error", "word[|s] without area left out of training", "draw it again, or take it out")
WORD_OFF = Kind("word-off-picture", "error", "word[|s] wholly outside [its|their] picture", "look whether it belongs to another picture, or was drawn on another size")
WORD_OUTSIDE = Kind("word-outside", "warning", "word[|s] [reaches|reach] outside [its|their] picture", "nothing, if the edge cuts it; if there are many, look whether they were drawn on another size")
WORD_CROSSED = Kind("word-crossed", "warning", "quad[|s] whose sides cross put in order for training", "write the corners clockwise from the top-left one: scripts that score take them as they are")
WORD_ANTICLOCKWISE = Kind("word-anticlockwise", "warning", "quad[|s] with anticlockwise corners: turned for training", "write the corners clockwise from the top-left one of the text")
WORD_TINY = Kind("word-tiny", "warning", "word[|s] [is|are] less than 6 pixels high at the input size, and ignored in training", "raise craft.canvas or craft.mag_ratio, or mark it ###")
WORD_TWICE = Kind("word-twice", "warning", "word[|s] [is|are] written twice", "take the copy out: a word counts once")
WORD_NO_TEXT = Kind("word-without-text", "note", "word[|s] without a transcription", "nothing for detection; ### would ignore it")
WORDS_IGNORED = Kind("words-mostly-ignored", "note", "split[|s] of which more than half of the words are ignored", "nothing, if they cannot be read; what is ignored teaches nothing")
CHARS_UNREADABLE = Kind("chars-unreadable", "warning", "file[|s] of characters cannot be read", "make it again, or take it out; the words are used without characters")
CHARS_UNMATCHED = Kind("chars-unmatched", "warning", "group[|s] of characters [belongs|belong] to no word and [is|are] left out", "look whether the word is missing")
CHARS_OUTSIDE = Kind("chars-outside", "warning", "character[|s] [lies|lie] outside [its|their] word", "look whether both were drawn on the same picture")
CHARS_COUNT = Kind("chars-count", "note", "word[|s] [has|have] another number of characters than of letters", "nothing, if some letters cannot be told apart")
