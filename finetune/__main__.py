"""``python -m finetune`` is ``finetune``: for processes that start others, wherever the script lies."""

from finetune.cli import run

if __name__ == "__main__":
    run()
