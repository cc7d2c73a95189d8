"""Pictures with boxes around what is to be found in them: COCO JSON, Pascal VOC XML and YOLO txt."""
