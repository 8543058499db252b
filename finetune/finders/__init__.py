"""Finders behind ``finetune train --dry-run --find``: a learning rate and a batch size, measured on the run itself; nothing is written."""
